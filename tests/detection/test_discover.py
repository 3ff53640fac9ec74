"""annotator discover, from image files to a project that can be labelled."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from annotator.cli.app import app
from annotator.detection.backbone import PatchNetwork
from annotator.detection.detections import iou
from annotator.detection.lost import lost
from annotator.detection.names import ImageClassifier, ZeroShotClassifier, square_around
from annotator.detection.objects import ObjectSearch, discover_objects
from annotator.errors import ExtraMissing, FeatureError
from annotator.images import ImageFolder
from annotator.items.refs import Box, Item
from annotator.log.entries import Action, Entry
from annotator.log.store.sqlite import SqliteStore
from annotator.project.item_pool import load_refs
from annotator.project.project import ProjectFolder
from annotator.proposals import read_proposals
from tests.detection import tiny_networks as tiny

torch = pytest.importorskip("torch", reason="needs the models extra")
torch.set_num_threads(1)

NAMES = ("pear, fruit", "apple", "leaf")


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {n: tmp_path_factory.mktemp(n) for n in ("vit", "dinov2", "resnet", "names", "words")}
    tiny.vit(folders["vit"])
    tiny.dinov2(folders["dinov2"])
    tiny.resnet(folders["resnet"])
    tiny.convnext_classifier(folders["names"], NAMES)
    tiny.siglip(folders["words"])
    return folders


def picture(seed: int = 0, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Noise with a bright square in it."""
    pixels = np.random.default_rng(seed).integers(0, 90, (size[1], size[0], 3))
    pixels[20:44, 30:60] = (250, 200, 20)
    return Image.fromarray(pixels.astype(np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    picture(1).save(folder / "a.jpg")
    picture(2).save(folder / "sub" / "b.png")
    return folder


def run(*args: object) -> Any:
    result = CliRunner().invoke(app, ["discover", *map(str, args), "--progress", "none"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def found(photos: Path, nets: dict[str, Path], *args: object) -> dict[str, Any]:
    result = run(photos, "--model", nets["vit"], "--names", nets["names"], "--json", *args)
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def rows(project: Path) -> list[dict[str, str]]:
    with (project / "refs.csv").open() as lines:
        return list(csv.DictReader(lines))


# --- the networks


def test_the_features_are_the_keys_of_the_last_attention_layer(nets: dict[str, Path]) -> None:
    pixels = np.asarray(picture())
    features = PatchNetwork(str(nets["vit"]))(pixels)
    model = tiny.transformers.ViTModel.from_pretrained(nets["vit"]).eval()
    mean, std = (np.array(tiny.IMAGENET[key]) for key in ("image_mean", "image_std"))
    values = torch.tensor((pixels / 255 - mean) / std).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        # The keys are a linear map of what enters the last layer, normalised.
        entering = model(values, interpolate_pos_encoding=True, output_hidden_states=True)
        last = model.layers[-1]
        keys = last.attention.k_proj(last.layernorm_before(entering.hidden_states[-2]))
    expected = keys[0, 1:].reshape(8, 12, -1).numpy()  # without the class token
    assert np.allclose(features, expected, atol=1e-4)


def test_register_tokens_are_no_patches(nets: dict[str, Path]) -> None:
    network = PatchNetwork(str(nets["dinov2"]))
    pixels = np.asarray(picture().resize((14 * 5, 14 * 4)))
    assert network(pixels).shape == (4, 5, 16)


def test_a_convolutional_network_gives_a_centred_map_of_stride_16(nets: dict[str, Path]) -> None:
    features = PatchNetwork(str(nets["resnet"]))(np.asarray(picture()))
    assert features.shape == (4, 6, 16)
    assert np.allclose(features.mean(axis=(0, 1)), 0, atol=1e-5)


@pytest.mark.parametrize("size", [(96, 64), (4000, 3000), (60, 1200), (17, 17)])
def test_images_are_looked_at_in_whole_patches_within_the_limit(
    nets: dict[str, Path], size: tuple[int, int]
) -> None:
    network = PatchNetwork(str(nets["vit"]))
    width, height = network.input_size(size, max_patches=900)
    assert width % 8 == height % 8 == 0
    assert 150 <= width * height / 64 <= 950
    assert width / height == pytest.approx(size[0] / size[1], rel=0.2)


def test_real_features_are_those_of_the_reference(shared: Path) -> None:
    """The maps that the published code was run on: the same network at the same size."""
    reference = np.load(shared / "data" / "discovery-parity" / "face.npz", allow_pickle=False)
    height, width = reference["image_size"].tolist()
    network = PatchNetwork(str(shared / "models" / "mobilenet-v2"))
    photo = Image.open(shared / "data" / "photos" / "face.jpg").convert("RGB")
    features = network(np.asarray(photo.resize((width, height), Image.Resampling.BICUBIC)))
    assert features.shape == reference["features"].shape
    here = lost(features)
    assert here is not None
    left, top, right, bottom = reference["lost_box"].tolist()
    box = here.box((16, 16), (width, height))
    assert iou(box, Box(left, top, right - left, bottom - top)) > 0.9


# --- names


def test_a_classifier_names_by_its_likeliest_class(nets: dict[str, Path]) -> None:
    classifier = ImageClassifier(str(nets["names"]))
    pictures = [picture(1), picture(2, (50, 80)), picture(3)]
    named = classifier(pictures, top=2)
    model = tiny.transformers.AutoModelForImageClassification.from_pretrained(nets["names"])
    processor = tiny.transformers.AutoImageProcessor.from_pretrained(nets["names"], backend="pil")
    with torch.inference_mode():
        p = model.eval()(**processor(pictures, return_tensors="pt")).logits.softmax(1).numpy()
    short = [name.split(",")[0] for name in NAMES]
    for names, row in zip(named, p, strict=True):
        best = np.argsort(-row)[:2]
        assert [one.name for one in names] == [short[at] for at in best]
        assert [one.p for one in names] == pytest.approx(row[best].tolist(), abs=1e-5)


def test_words_are_weighed_against_each_other(nets: dict[str, Path]) -> None:
    words = ZeroShotClassifier(["pear", "apple"], str(nets["words"]))
    (names,) = words([picture()], top=5)
    assert {one.name for one in names} == {"pear", "apple"}
    assert sum(one.p for one in names) == pytest.approx(1)
    model = tiny.transformers.SiglipModel.from_pretrained(nets["words"]).eval()
    tokenizer = tiny.transformers.AutoTokenizer.from_pretrained(nets["words"])
    processor = tiny.transformers.AutoImageProcessor.from_pretrained(nets["words"], backend="pil")
    texts = ["This is a photo of pear.", "This is a photo of apple."]
    tokens = tokenizer(texts, padding="max_length", max_length=32, return_tensors="pt")
    with torch.inference_mode():
        said = model(
            input_ids=tokens["input_ids"], **processor([picture()], return_tensors="pt")
        ).logits_per_image.softmax(1)[0]
    expected = dict(zip(["pear", "apple"], said.tolist(), strict=True))
    assert {one.name: one.p for one in names} == pytest.approx(expected, abs=1e-4)


def test_a_network_without_text_cannot_take_words(nets: dict[str, Path]) -> None:
    with pytest.raises(FeatureError, match="knows no text"):
        ZeroShotClassifier(["pear"], str(nets["vit"]))


def test_a_backbone_is_no_classifier(nets: dict[str, Path]) -> None:
    with pytest.raises(FeatureError, match="classifier"):
        ImageClassifier(str(nets["vit"]))


def test_the_crop_that_is_named_is_a_square_around_the_box_inside_the_image() -> None:
    assert square_around(Box(40, 40, 20, 10), (200, 200), context=0.25) == Box(35, 30, 30, 30)
    assert square_around(Box(0, 0, 20, 10), (200, 200), context=0.25) == Box(0, 0, 25, 20)


def test_real_names(shared: Path) -> None:
    classifier = ImageClassifier(str(shared / "models" / "mobilenet-v2"))
    photo = Image.open(shared / "data" / "photos" / "sunflower.jpg").convert("RGB")
    bird = Image.open(shared / "data" / "photos" / "bird.jpg").convert("RGB")
    flower, animal = classifier([photo, bird], top=1)
    assert flower[0].name == "daisy"  # ImageNet has no sunflower
    assert animal[0].name == "chickadee"


@pytest.mark.parametrize("network", ["facebook/dino-vits16", "dino-vitb8"])
def test_absent_weights_name_the_command_and_the_size(
    network: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ExtraMissing, match=r"hf download facebook/dino-vit\S+\s+\(about \d+ MB"):
        PatchNetwork(network)


def test_weights_of_the_older_kind_open(tmp_path: Path) -> None:
    """facebook/dino-vits16 and convnext-base-224-22k have no safetensors on their main branch."""
    model = tiny.vit(tmp_path)
    expected = PatchNetwork(str(tmp_path))(np.asarray(picture()))
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    assert np.array_equal(PatchNetwork(str(tmp_path))(np.asarray(picture())), expected)


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    tiny.vit(tmp_path / "net")
    (tmp_path / "net" / "model.safetensors").unlink()
    torch.save({"weight": Harm(tmp_path / "harm")}, tmp_path / "net" / "pytorch_model.bin")
    with pytest.raises(FeatureError, match="does not open"):
        PatchNetwork(str(tmp_path / "net"))
    assert not (tmp_path / "harm").exists()


class Harm:
    """An object that makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.file,)


def test_fetched_weights_of_the_older_kind_are_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After `hf download facebook/dino-vits16`, without a network."""
    repo = tmp_path / "models--facebook--dino-vits16"
    model = tiny.vit(repo / "snapshots" / "abc")
    (repo / "snapshots" / "abc" / "model.safetensors").unlink()
    torch.save(model.state_dict(), repo / "snapshots" / "abc" / "pytorch_model.bin")
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text("abc")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert PatchNetwork().patch == 8


# --- the command


def test_boxes_become_items_with_score_and_name(photos: Path, nets: dict[str, Path]) -> None:
    told = found(photos, nets, "--min-name", "0")
    project = ProjectFolder.open(photos.with_name("photos.boxes"))
    table = rows(project.folder)
    assert len(table) == told["boxes"] == told["added"] > 0
    assert {row["filename"] for row in table} == {"a.jpg", "sub/b.png"}
    for row in table:
        x, y, w, h = map(float, row["bbox"].split(","))
        assert x >= 0 and y >= 0 and w > 0 and h > 0 and x + w <= 96 and y + h <= 64
        assert row["name"] in ("pear", "apple", "leaf")
        assert 0 <= float(row["score"]) <= 1
    assert len(load_refs(project)) == len(table)
    assert project.settings.names == ("no", "yes")


def test_unlikely_names_become_object(photos: Path, nets: dict[str, Path]) -> None:
    found(photos, nets, "--min-name", "1")
    assert {row["name"] for row in rows(photos.with_name("photos.boxes"))} == {"object"}


def test_each_box_is_printed_with_the_confidence_of_its_class(
    photos: Path, nets: dict[str, Path]
) -> None:
    options = (photos, "--model", nets["vit"], "--names", nets["names"], "--min-name", "0")
    told = json.loads(run(*options, "--json").stdout)
    lines = [line.split("\t") for line in run(*options).stdout.splitlines()]
    assert lines == [
        [box["image"], box["name"], f"{box['confidence']:.2f}"] for box in told["found"]
    ]
    table = {row["filename"]: row for row in rows(photos.with_name("photos.boxes"))}
    assert {line[0] for line in lines} == set(table)
    document = json.loads(Path(told["coco"]).read_bytes())
    pairs = [(row["score"], row["confidence"]) for row in document["annotations"]]
    assert pairs == [(box["score"], box["confidence"]) for box in told["found"]]
    # A threshold on either of the two.
    for option, key in (("--min-confidence", "confidence"), ("--min-score", "score")):
        most = max(box[key] for box in told["found"])
        place = photos.with_name(f"only-{key}")
        some = json.loads(run(*options, "--json", "--project", place, option, most - 1e-4).stdout)
        assert len(some["found"]) > 0 and all(b[key] >= most - 1e-3 for b in some["found"])
    assert run(photos, "--names", "none", "--min-confidence", "0.5").exit_code == 2


def test_words_of_ones_own_are_the_classes_to_label_with(
    photos: Path, nets: dict[str, Path]
) -> None:
    result = run(
        photos, "--model", nets["vit"], "--names", nets["words"], "--classes", "pear,apple"
    )
    assert result.exit_code == 0, result.output
    project = ProjectFolder.open(photos.with_name("photos.boxes"))
    assert project.settings.names == ("pear", "apple", "none")
    assert {row["name"] for row in rows(project.folder)} <= {"pear", "apple"}


def test_the_coco_file_is_read_by_pycocotools(photos: Path, nets: dict[str, Path]) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="needs pycocotools")
    told = found(photos, nets)
    read = coco.COCO(told["coco"])
    assert len(read.anns) == told["boxes"]
    sizes = {image["file_name"]: (image["width"], image["height"]) for image in read.imgs.values()}
    assert sizes == {"a.jpg": (96, 64), "sub/b.png": (96, 64)}


def test_pictures_are_rendered_with_their_boxes(
    photos: Path, nets: dict[str, Path], tmp_path: Path
) -> None:
    told = found(photos, nets, "--render", tmp_path / "drawn")
    assert told["drawn"] == 2
    before = np.asarray(Image.open(photos / "sub" / "b.png"), np.int16)
    after = np.asarray(Image.open(tmp_path / "drawn" / "sub" / "b.jpg"), np.int16)
    assert after.shape == before.shape
    assert (np.abs(after - before).max(axis=2) > 60).sum() > 50


def test_images_beyond_the_limit_are_counted(photos: Path, nets: dict[str, Path]) -> None:
    picture(3, (800, 600)).save(photos / "large.png")
    assert found(photos, nets, "--patches", "1000")["smaller"] == 1


def test_a_second_run_has_nothing_to_do(photos: Path, nets: dict[str, Path]) -> None:
    first = found(photos, nets)
    before = rows(photos.with_name("photos.boxes"))
    picture(9).save(photos / "new.jpg")
    second = found(photos, nets)
    assert (second["before"], second["looked"]) == (2, 1)
    after = rows(photos.with_name("photos.boxes"))
    assert after[: len(before)] == before
    assert len(after) == first["boxes"] + second["boxes"]


def test_what_cannot_be_looked_at_is_named_and_the_run_goes_on(
    photos: Path, nets: dict[str, Path]
) -> None:
    (photos / "broken.jpg").write_bytes(b"no image")
    Image.new("RGB", (1, 1)).save(photos / "one.png")
    Image.new("RGB", (2000, 1)).save(photos / "line.png")
    picture(5).convert("L").save(photos / "grey.png")
    picture(6).convert("CMYK").save(photos / "cmyk.jpg")
    Image.new("RGB", (90, 90), (7, 7, 7)).save(photos / "black.png")
    told = found(photos, nets)
    left_out = " ".join(told["left_out"])
    assert all(name in left_out for name in ("broken.jpg", "one.png", "line.png"))
    assert len(told["left_out"]) == 3
    named = {row["filename"] for row in rows(photos.with_name("photos.boxes"))}
    assert named == {"a.jpg", "sub/b.png", "grey.png", "cmyk.jpg"}  # one colour holds no object


def test_a_folder_without_images_is_an_error(tmp_path: Path, nets: dict[str, Path]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Exception, match="holds no image"):
        run(tmp_path / "empty", "--model", nets["vit"], "--names", "none")


@pytest.mark.parametrize("method", ["lost", "tokencut"])
def test_the_other_methods_find_at_most_one_object(
    photos: Path, nets: dict[str, Path], method: str
) -> None:
    network = PatchNetwork(str(nets["vit"]))
    found = list(
        discover_objects(["a.jpg"], ImageFolder(photos), network, ObjectSearch(method=method))
    )
    assert len(found[0].proposals) <= 1
    assert all(one.model == f"{method}:{nets['vit'].name}" for one in found[0].proposals)


def test_kept_boxes_of_one_name_do_not_overlap(photos: Path, nets: dict[str, Path]) -> None:
    network = PatchNetwork(str(nets["vit"]))
    (looked,) = discover_objects(["a.jpg"], ImageFolder(photos), network, ObjectSearch(overlap=0.3))
    boxes = [one.box for one in looked.proposals]
    assert len(boxes) > 1
    assert all(iou(a, b) <= 0.3 for a in boxes for b in boxes if a is not b)


def test_boxes_lie_where_the_object_is_whatever_the_size(
    nets: dict[str, Path], tmp_path: Path
) -> None:
    """The same picture eight times as large has the same boxes, eight times as large."""
    small = picture(4)
    small.save(tmp_path / "small.png")
    small.resize((768, 512), Image.Resampling.NEAREST).save(tmp_path / "large.png")
    network = PatchNetwork(str(nets["vit"]))
    limit = ObjectSearch(most_patches=196)
    first, second = discover_objects(
        ["small.png", "large.png"], ImageFolder(tmp_path), network, limit
    )
    assert first.proposals
    for one, other in zip(first.proposals, second.proposals, strict=False):
        scaled = Box(*(8 * side for side in one.box))
        assert max(iou(scaled, p.box) for p in second.proposals) > 0.5, (one, other)
    assert Item.parse(first.proposals[0].item.ref) == first.proposals[0].item


def test_a_second_search_with_other_options_replaces_what_nobody_judged(
    photos: Path, nets: dict[str, Path]
) -> None:
    first = found(photos, nets, "--min-name", "0")
    project = ProjectFolder.open(photos.with_name("photos.boxes"))
    store = SqliteStore(project.labels_file)
    before = {row.ref for row in read_proposals(project)}
    judged = min(before)
    store.append(Entry(0, 1.0, "ann", Action.LABEL, judged, "yes"))
    store.close()
    options = ("--min-name", "0", "--seeds", "2", "--threshold", "0.001")
    second = found(photos, nets, *options)
    kept = [row for row in read_proposals(project) if row.ref == judged]
    assert kept and second["kept"] >= 1 and second["replaced"] >= 1
    fresh = found(photos, nets, *options, "--project", photos.with_name("fresh"))
    others = {row.ref for row in read_proposals(project)} - {judged}
    assert others <= {
        row.ref for row in read_proposals(ProjectFolder.open(photos.with_name("fresh")))
    }
    assert fresh["replaced"] == fresh["kept"] == 0
    assert len(load_refs(project)) == len(others | {judged})
    again = found(photos, nets, *options)
    assert again["looked"] == again["replaced"] == 0
    back = found(photos, nets, "--min-name", "0")  # the first options look again
    assert back["looked"] == first["looked"]
    assert {row.ref for row in read_proposals(project)} == before
