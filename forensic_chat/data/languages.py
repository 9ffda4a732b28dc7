"""Spanish, French and German as far as they hold: a question's language, what it asks, and the verdict.

Answers are written in English. To a question in one of these languages, the verdict is given in it, and a
sentence says that the rest is English.
"""

import re
import unicodedata
from dataclasses import dataclass

from forensic_chat.schema import Label


@dataclass(frozen=True)
class Language:
    """Common words, without accents; the verdict sentences; what is said before English."""

    words: frozenset[str]
    labels: dict[Label, str]
    decided: str
    undecided: str
    english: str


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ENGLISH = _words(
    "is the an this that it what where who why how when which you are was can could do does did i my me in on "
    "of to and or real image photo picture sure es c die no"
)
LANGUAGES: dict[str, Language] = {
    "es": Language(
        _words(
            "es esta este esto la el los las una uno foto imagen que por donde quien como cuando cual seguro "
            "segura estas puede hay fue hizo verdad falsa falso crees eres yo lo la tome hice resume gracias "
            "hola ha sido con de en un del"
        ),
        {
            "real": "real",
            "synthetic": "sintética (generada por completo)",
            "tampered": "manipulada en algunas partes",
        },
        "El veredicto medido es: {label}, con una probabilidad de {p}.",
        "El resultado no es concluyente; la probabilidad de que sea falsa es {p}.",
        "Los detalles solo puedo darlos en inglés:",
    ),
    "fr": Language(
        _words(
            "est ce cette la le les une un photo image ou qui que quoi pourquoi comment quand quel quelle etes "
            "vous tu es sur sure vraie vrai fausse faux il elle dans du des pas peut je ai pris moi meme avez "
            "merci bonjour resumez en fait ca"
        ),
        {
            "real": "authentique",
            "synthetic": "synthétique (générée entièrement)",
            "tampered": "retouchée par endroits",
        },
        "Le verdict mesuré est : {label}, avec une probabilité de {p}.",
        "Le résultat n'est pas concluant ; la probabilité d'un faux est de {p}.",
        "Je ne peux donner les détails qu'en anglais :",
    ),
    "de": Language(
        _words(
            "ist das die der den dem ein eine einem bild foto wo wer warum wieso wie wann welche sicher bist du "
            "sind sie echt gefalscht falschung kann konnte nicht wurde und was ich habe es selbst gemacht hat "
            "danke hallo fasse als nur man mir"
        ),
        {
            "real": "echt",
            "synthetic": "synthetisch (als Ganzes erzeugt)",
            "tampered": "stellenweise verändert",
        },
        "Das gemessene Urteil lautet: {label}, mit einer Wahrscheinlichkeit von {p}.",
        "Das Ergebnis ist nicht eindeutig; die Wahrscheinlichkeit einer Fälschung beträgt {p}.",
        "Die Einzelheiten kann ich nur auf Englisch geben:",
    ),
}

_ASKED: tuple[tuple[str, str], ...] = (
    ("json", r"json"),
    (
        "pushback",
        r"yo mism\w|\btome\b|te equivocas|moi[- ]meme|trompez|trompes|selbst (?:ge|auf|foto)|irrst|stimmt nicht",
    ),
    ("one sentence", r"resum|una frase|une phrase|einem satz|zusammen|kurz\b"),
    ("just compression", r"compres|kompri|kompres|jpe?g|whatsapp"),
    ("provenance", r"c2pa|credencial|procedencia|provenance|herkunft|signatur"),
    ("metadata", r"metadat|metadonn|exif|camara|appareil|kamera|cuando|quand\b|wann\b"),
    ("identity", r"quien es|qui est[- ](?:ce|il|elle|cette|la)\b(?! qui)|wer ist"),
    ("author", r"quien|\bqui (?:a|l)\b|est-ce qui|\bwer\b|von wem"),
    ("change mind", r"cambiar|changer|umstimmen|andern"),
    ("next", r"siguiente|ahora|ensuite|maintenant|nachste|weiter\b|prufen"),
    ("proof", r"prueba|preuve|beweis|tribunal|gericht"),
    ("how sure", r"segur|certez|probab|\bsurs?\b|sure|certain|certitude|sicher|wahrscheinlich|zuverlassig"),
    ("where", r"donde|que (?:parte|zona)|\bou\b|quelle (?:partie|zone)|\bwo\b|stelle|bereich"),
    ("why", r"por que|pourquoi|warum|wieso|weshalb|razon|raison|grund"),
    (
        "AI",
        r"\bia\b|inteligencia|intelligence|\bki\b|kunstlich|gener(?:ad|ee|iert)|sintetic|synthetis|synthetique",
    ),
    ("edited", r"editad|manipul|retoca|retouch|modifi|bearbeit|verandert|photoshop"),
    ("authentic", r"real|autentic|authentique|fals|fauss|faux|vrai|verdad|echt|falsch|fake"),
    ("thanks", r"gracias|merci|danke"),
)
"""Kinds of `questions.QUESTIONS` by the words that ask for them, in all three languages, without accents."""


def language_of(question: str) -> str | None:
    """es, fr or de where more words are of that language than of English; None otherwise."""
    asked = re.findall(r"[a-z]+", _plain(question))
    hits = {name: sum(word in language.words for word in asked) for name, language in LANGUAGES.items()}
    best = max(hits, key=lambda name: hits[name])
    return best if hits[best] > sum(word in _ENGLISH for word in asked) else None


def kind_of_foreign(question: str) -> str | None:
    """The kind of a question in one of these languages; None for one that is not recognised."""
    plain = _plain(question)
    return next((kind for kind, pattern in _ASKED if re.search(pattern, plain)), None)


def verdict_in(language: str, label: Label, probability: str) -> str:
    """The verdict in that language."""
    said = LANGUAGES[language]
    if label == "inconclusive":
        return said.undecided.format(p=probability)
    return said.decided.format(label=said.labels[label], p=probability)


def _plain(text: str) -> str:
    """Lower case without accents."""
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(char for char in apart if not unicodedata.combining(char))
