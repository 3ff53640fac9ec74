"""Two sessions on one project."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from annotator.log.store.sqlite import SqliteStore
from annotator.session.session import LabelSession


def test_what_others_wrote_just_before_our_own_answer_is_seen(tmp_path: Path) -> None:
    refs = [f"{number}.png" for number in range(30)]
    stores = [SqliteStore(tmp_path / "labels.db") for _ in range(2)]
    ann, bob = (
        LabelSession(store, ("no", "yes"), annotator=name, ahead=2, seed=seed)
        for seed, (store, name) in enumerate(zip(stores, ("ann", "bob"), strict=True))
    )
    for session in (ann, bob):
        session.extend(refs)
    ann.refresh()
    first = bob.label("yes")
    ann.label("no")  # without having looked
    second = bob.label("yes")
    ann.label("no")
    assert first is not None and second is not None
    assert [entry.ref for entry in ann.refresh()] == [first.ref, second.ref]
    bob.refresh()
    assert ann.progress.classes == bob.progress.classes == {"no": 2, "yes": 2}
    assert ann.refresh() == []
    for store in stores:
        store.close()


class Meanwhile(SqliteStore):
    """A store in which something happens once, between a read of the log and of the leases."""

    happens: Callable[[], object] | None = None

    def leased_by_others(self, now: float, holder: str) -> set[str]:
        happens, self.happens = self.happens, None
        if happens is not None:
            happens()
        return super().leased_by_others(now, holder)


def test_an_item_that_was_answered_a_moment_ago_is_not_asked_again(tmp_path: Path) -> None:
    refs = ["0.png", "1.png"]
    stores = SqliteStore(tmp_path / "labels.db"), Meanwhile(tmp_path / "labels.db")
    ann, bob = (
        LabelSession(store, ("no", "yes"), annotator=name, ahead=0)
        for store, name in zip(stores, ("ann", "bob"), strict=True)
    )
    for session in (ann, bob):
        session.extend(refs)
    bob.label("yes")
    assert bob.current is None  # the other item is on ann's screen
    stores[1].happens = lambda: ann.label("yes")
    bob.refresh()
    assert bob.current is None
    assert sorted(entry.ref for entry in stores[0].entries()) == refs
    for store in stores:
        store.close()
