"""Questions that ask for another look: into a part of the picture, or at another delivery of it."""

LOOKS: dict[str, tuple[str, ...]] = {
    "zoom": (
        "Zoom in.",
        "Can you zoom into that?",
        "Take a closer look.",
        "Look closer.",
        "Have a closer look at that area.",
        "Enlarge it.",
        "Can you magnify that region?",
        "Look at it at full size.",
        "Cut that part out and examine it alone.",
        "Look again at that part.",
    ),
    "re-deliver": (
        "Is the verdict stable?",
        "Would you say the same of a compressed copy?",
        "What happens if it is saved again?",
        "Compress it and look again.",
        "Try it at half the size.",
        "Test a smaller copy of it.",
        "Does the verdict hold if it is re-saved?",
        "Would a screenshot of it be judged the same?",
        "How robust is the verdict?",
        "Re-deliver it and see.",
    ),
}
