"""The themes of the project. Key and place tell classes apart, never colour alone."""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "annotator"

THEMES = (
    Theme(
        name="annotator",
        primary="#7aa2f7",
        secondary="#5b7fb5",
        accent="#e0af68",
        foreground="#d5d9e2",
        background="#101216",
        surface="#16191f",
        panel="#1d2129",
        success="#7fbf8e",
        warning="#e0af68",
        error="#d9606c",
        variables={"role-dim": "#8b93a5", "role-track": "#343a46"},
    ),
    Theme(
        name="annotator-light",
        primary="#2456b8",
        secondary="#52719e",
        accent="#9a5b00",
        foreground="#1d2129",
        background="#fbfbf9",
        surface="#f2f2ee",
        panel="#e6e6e1",
        success="#22733a",
        warning="#9a5b00",
        error="#b3202e",
        dark=False,
        variables={"role-dim": "#5f6672", "role-track": "#c4c8cf"},
    ),
    # The colours of Okabe and Ito (2008), which the common colour blindnesses tell apart.
    Theme(
        name="colour-blind",
        primary="#56b4e9",
        secondary="#0072b2",
        accent="#e69f00",
        foreground="#e4e6ea",
        background="#101216",
        surface="#16191f",
        panel="#1d2129",
        success="#009e73",
        warning="#f0e442",
        error="#d55e00",
        variables={"role-dim": "#9aa1ad", "role-track": "#3a4049"},
    ),
    # Black and white with two colours that the common colour blindnesses tell apart.
    Theme(
        name="high-contrast",
        primary="#ffd500",
        secondary="#ffffff",
        accent="#ffd500",
        foreground="#ffffff",
        background="#000000",
        surface="#000000",
        panel="#000000",
        success="#56b4e9",
        warning="#ffd500",
        error="#ff8c66",
        text_alpha=1.0,
        variables={"text-muted": "#ffffff", "role-dim": "#e0e0e0", "role-track": "#a0a0a0"},
    ),
)
