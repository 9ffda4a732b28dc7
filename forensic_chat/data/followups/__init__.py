"""Answers to follow-up questions, for training conversations and where the language model's own can't be used.

An answer states measured facts with their citations and nothing that the examination does not hold. It keeps
the measured verdict under pressure, and says plainly what traces cannot tell.
"""

from forensic_chat.data.followups.base import Answer, FollowUp, Look, Zoom
from forensic_chat.data.followups.comparison import comparison
from forensic_chat.data.followups.conversation import no_answer, summary
from forensic_chat.data.followups.evidence import explain, explain_questions
from forensic_chat.data.followups.kinds import FOLLOW_UPS, OF_A_TEST
from forensic_chat.data.followups.recognition import explaining, recognised
from forensic_chat.data.followups.saying import figure, leading

__all__ = [
    "FOLLOW_UPS",
    "OF_A_TEST",
    "Answer",
    "FollowUp",
    "Look",
    "Zoom",
    "comparison",
    "explain",
    "explain_questions",
    "explaining",
    "figure",
    "leading",
    "no_answer",
    "recognised",
    "summary",
]
