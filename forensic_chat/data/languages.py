"""Spanish, French and German as far as they hold: a question's language, what it asks, and the verdict.

Answers are written in English. To a question in one of these languages, the verdict and the plainest answers
are given in it, and a sentence says that the rest is English.
"""

import re
import unicodedata
from dataclasses import dataclass

from forensic_chat.schema import Label


@dataclass(frozen=True)
class Language:
    """Common words, without accents; the verdict sentences; what is said before English, and instead."""

    words: frozenset[str]
    labels: dict[Label, str]
    decided: str
    undecided: str
    english: str
    only: str
    """Said to those who want all of it in that language."""
    basics: dict[str, str]
    """By the kind of a question: what needs no finding."""


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
        "En español solo puedo dar el veredicto y respuestas sencillas; los detalles los doy en inglés.",
        {
            "how sure": "Es una probabilidad medida, no una certeza: puedo equivocarme.",
            "proof": "No es una prueba. Haría falta el archivo original y su historia.",
            "author": "No puedo decir quién lo hizo: los rastros no llevan el nombre de nadie.",
            "identity": "No identifico a personas; solo examino cómo se hizo la imagen.",
            "pushback": "Lo que usted dice no lo puedo medir; el resultado de la medición no cambia.",
            "next": "Busque la copia más antigua en la red y pida el archivo original a quien la publicó.",
            "thanks": "De nada.",
        },
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
        "En français, je ne peux donner que le verdict et des réponses simples ; les détails sont en anglais.",
        {
            "how sure": "C'est une probabilité mesurée, pas une certitude : je peux me tromper.",
            "proof": "Ce n'est pas une preuve. Il faudrait le fichier d'origine et son histoire.",
            "author": "Je ne peux pas dire qui l'a fait : les traces ne portent le nom de personne.",
            "identity": "Je n'identifie personne ; j'examine seulement comment l'image a été faite.",
            "pushback": "Ce que vous dites, je ne peux pas le mesurer ; le résultat de la mesure ne change pas.",
            "next": "Cherchez la copie la plus ancienne en ligne et demandez le fichier d'origine.",
            "thanks": "Je vous en prie.",
        },
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
        "Auf Deutsch kann ich nur das Urteil und einfache Antworten geben; die Einzelheiten sind englisch.",
        {
            "how sure": "Das ist eine gemessene Wahrscheinlichkeit und keine Gewissheit: Ich kann mich irren.",
            "proof": "Das ist kein Beweis. Dazu braucht es die Originaldatei und ihre Geschichte.",
            "author": "Wer es war, kann ich nicht sagen: Spuren tragen niemandes Namen.",
            "identity": "Ich erkenne keine Personen; ich untersuche nur, wie das Bild entstanden ist.",
            "pushback": "Was Sie sagen, kann ich nicht messen; am gemessenen Ergebnis ändert es nichts.",
            "next": "Suchen Sie die älteste Fassung im Netz und bitten Sie um die Originaldatei.",
            "thanks": "Gern geschehen.",
        },
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

_NAMES = {"spanish": "es", "french": "fr", "german": "de"}
_WANTED = re.compile(
    r"\b(?:in|into|speak)\W+(?P<name>spanish|french|german|italian|portuguese|dutch|polish|russian|ukrainian|turkish"
    r"|arabic|hebrew|hindi|urdu|chinese|mandarin|japanese|korean|greek|swedish|norwegian|danish|finnish|czech"
    r"|hungarian|romanian|vietnamese|thai|indonesian|latin)\b"
)
_UNSPOKEN = _words(
    "questa questo foto immagine vera falsa perche dove chi sei sicuro sicura grazie ciao esta imagem verdadeira "
    "onde quem porque voce tem certeza obrigado deze dit afbeelding echt waar waarom wie ben je zeker bedankt "
    "zdjecie prawdziwe dlaczego gdzie gercek mi fotograf"
)
"""Italian, Portuguese, Dutch, Polish and Turkish as far as it takes to tell that they are not read."""
_READ = frozenset().union(_ENGLISH, *(language.words for language in LANGUAGES.values()))


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


def basic(language: str, kind: str | None) -> str | None:
    """The plainest answer to a kind of question in that language; None where it takes findings."""
    return LANGUAGES[language].basics.get(kind or "")


def named_language(question: str) -> str | None:
    """The language that an English question wants the answer in: a key of LANGUAGES, or another's name."""
    found = _WANTED.search(question.lower())
    if found is None:
        return None
    name = found["name"]
    return _NAMES.get(name, name.capitalize())


def unread(question: str) -> bool:
    """Whether the question is in a script or language that nothing here reads."""
    letters = [char for char in _plain(question) if char.isalpha()]
    if letters and sum("a" <= char <= "z" for char in letters) < len(letters) / 2:
        return True
    asked = re.findall(r"[a-z]+", _plain(question))
    return sum(word in _UNSPOKEN for word in asked) > sum(word in _READ for word in asked)


def _plain(text: str) -> str:
    """Lower case without accents."""
    apart = unicodedata.normalize("NFKD", text.lower())
    return "".join(char for char in apart if not unicodedata.combining(char))
