r"""The words by which an answer is announced, denied and joined to another, language by language.

A table: a language is added by a row. All patterns are matched without case, on folded text.
"""

from __future__ import annotations

from dataclasses import dataclass

_DECORATION = r"[\s*_`\"']{0,6}"
_MARK = rf"{_DECORATION}:?{_DECORATION}"


@dataclass(frozen=True, slots=True)
class Cue:
    """Words that announce an answer, with what leads up to them and what leads on to the answer.

    `required` says that the words announce nothing without their lead ("I choose").
    """

    words: tuple[str, ...]
    lead: str
    onward: str
    required: bool = False
    unless: tuple[str, ...] = ()
    """Words before it that make it no announcement: "each answer is ..."."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a language speaks of answers; each entry is alternatives of a regular expression."""

    name: str
    cues: tuple[Cue, ...]
    nouns: str
    """What an option is called: "option B"."""
    afterwards: str
    """What makes an option the answer after it: "(b) is the right answer"."""
    denied_before: str = ""
    denied_after: str = ""
    joint: str = ""
    """And, or."""
    filler: str = ""
    """What may stand between an announcement and the answer itself."""
    because: str = ""
    hints: tuple[str, ...] = ()
    """Lower-case words of which one shows that a text may be in this language."""


_EN_OPENER = r"(?:(?:and\s+)?(?:so|therefore|thus|hence|finally|in\s+conclusion|overall),?\s+)?"
_EN_QUALITY = r"(?:(?:correct|best|right|final|most\s+\w+|only|closest|likely|possible)\s+){0,6}"
_EN_ADVERB = r"(?:(?:therefore|thus|hence|then|probably|likely|most\s+likely|clearly|simply)\s+)?"
_EN_IS = (
    r"(?:(?P<weak>(?:would|must|should|could|might|may|can)\s+" + _EN_ADVERB + r"be\b)"
    r"|(?:is|are|was)\b|[:=→]|\s[-–—]\s)"
)

ENGLISH = Language(
    "English",
    (
        Cue(
            ("answer", "option", "choice", "label"),
            rf"{_EN_OPENER}(?:(?:the|my|our|your)\s+)?{_EN_QUALITY}(?:final_)?",
            rf"(?:\s+(?:no\.?\s*)?\d{{1,2}}\b)?{_DECORATION}"
            rf"(?:(?:to|for|here|in)\b[^.:\n]{{0,60}}?\s)?{_EN_IS}{_MARK}"
            r"|\s*>\s*",
            unless=("each ", "every ", "any ", "all ", "each answer ", "every answer "),
        ),
        Cue(
            ("choose", "pick", "select", "go with", "answer"),
            rf"{_EN_OPENER}I(?:\s+would|\s+will|'d|'ll)?\s+",
            r"\s*:?\s+",
            required=True,
        ),
    ),
    nouns="option|choice|answer",
    afterwards=(
        r"(?:is|are|was|would\s+be|must\s+be|seems?(?:\s+to\s+be)?|appears\s+to\s+be)\s+"
        r"(?:therefore\s+|thus\s+|clearly\s+)?(?:the\s+)?"
        r"(?:(?:(?:only|single|one|most\s+\w+|\w+est|best|correct|right|likely|logical)\s+){1,3}"
        r"(?:answer|choice|option|one)\b(?!\s+\(?[A-Z]\b)"
        r"|(?:answer|correct\s+one)\b|(?:correct|right)(?=[*_\"')]*(?:[.,;:!\n]|\Z)))"
    ),
    denied_before=(
        r"(?:not|never|neither|nor|cannot|except|without|than|unlike|isn'?t|wasn'?t|aren'?t"
        r"|can't|won'?t|wouldn'?t|couldn'?t|doesn'?t|don'?t|rather\s+than|instead\s+of"
        r"|eliminat(?:e|es|ed|ing)|rul(?:e|es|ed|ing)\s+out|exclud(?:e|es|ed|ing))\s+"
        r"(?:(?:be|the|an?|is|options?|choices?|answer|necessarily|really|just|to|in|at)\s+){0,3}"
    ),
    denied_after=(
        r"(?:is|are|was|were|does|do|did|would|could|can|should)(?:\s*n't\b|\s+not\b)"
        r"|cannot\b|can't\b"
        r"|(?:is|are|was|were|would\s+be|can\s+be|seems?)\s+(?:also\s+)?"
        r"(?:incorrect|wrong|eliminated|ruled\s+out|excluded)\b"
    ),
    joint=r"and|or|nor|and/or",
    filler=(
        r"option|choice|letter|number|answer|so|(?:so|therefore|thus|hence),|it's|the|an?|most|more|probably|likely|very|definitely"
        r"|definitively|certainly|clearly|simply|therefore|thus|hence|indeed|that|to|in|at|on|of|be"
        r"|it|is|would|perhaps|possibly|then|actually|obviously"
    ),
    because=r"because|since|as",
)


@dataclass(frozen=True, slots=True)
class European:
    """A language that speaks of answers as English does, noun and verb.

    `words` are the nouns for an answer or an option, `right` what makes an option the answer after
    it, `wrong` what denies it there, and `bare` says that no verb is needed ("Ответ B"). `hints`
    are parted by strokes, as the others are.
    """

    name: str
    words: str
    openers: str
    articles: str
    qualities: str
    verbs: str
    choosing: str
    right: str
    denied: str
    wrong: str
    joint: str
    filler: str
    because: str
    hints: str
    bare: bool = False

    def language(self) -> Language:
        """Build the language's row."""
        nouns = tuple(self.words.split("|"))
        opener = rf"(?:(?:{self.openers}),?\s+)?"
        adjective = rf"(?:(?:{self.articles})\s*)?(?:(?:{self.qualities})\s+){{0,3}}"
        after = rf"(?:\s+(?:{self.qualities})){{0,3}}{_DECORATION}"
        between = r"|(?P<weak>\s+)(?=[(\[]?(?-i:[A-Z])(?!\w))" if self.bare else ""
        onward = rf"{after}(?:(?:{self.verbs})(?!\w)|[:=→]|\s[-–—]\s){_MARK}{between}"
        inverted = rf"(?<!\w)(?:{self.verbs})\s+{adjective}"
        return Language(
            self.name,
            (
                Cue(nouns, opener + adjective, onward),
                Cue(nouns, inverted, rf"{after}:?\s+", required=True),
                Cue(tuple(self.choosing.split("|")), opener, r"\s*:?\s+"),
            ),
            nouns=self.words,
            afterwards=rf"(?:{self.verbs})\s+(?:{self.right})(?!\w)",
            denied_before=rf"(?:{self.denied})\s+(?:(?:{self.filler})\s*){{0,3}}",
            denied_after=self.wrong,
            joint=self.joint,
            filler=self.filler,
            because=self.because,
            hints=tuple(self.hints.split("|")),
        )


GERMAN = European(
    "German",
    "antwort|lösung|antwortmöglichkeit|option|antwortoption",
    openers="also|daher|somit|deshalb|folglich|demnach|damit|schließlich",
    articles="die|meine|unsere|das",
    qualities="richtige|korrekte|beste|endgültige|finale|einzig|einzige|wahrscheinlichste",
    verbs="ist|lautet|wäre|heißt|sind",
    choosing="ich wähle|ich nehme|ich entscheide mich für|richtig ist|korrekt ist|richtig wäre",
    right=r"(?:die\s+)?(?:richtige|korrekte|beste|einzig\s+richtige)\s+(?:antwort|lösung|option|wahl)"
    r"|die\s+(?:antwort|lösung)|richtig|korrekt",
    denied=r"nicht|weder|noch|kein|keine|keinesfalls|außer|statt|als",
    wrong=r"(?:ist|sind|war|wäre|kann|scheidet)\s+(?:es\s+)?(?:nicht|falsch|inkorrekt|aus)\b",
    joint="und|oder|beziehungsweise|bzw|noch",
    filler="die|der|das|eine?|option|antwort|antwortmöglichkeit|buchstabe|nummer|wohl"
    "|wahrscheinlich|vermutlich|sicher|eindeutig|also|daher|somit|hier|in|im|am",
    because="weil|denn|da",
    hints="antwort|lösung|richtig|korrekt|ich wähle|ich nehme|entscheide mich",
)
FRENCH = European(
    "French",
    "réponse|reponse|solution|option|choix|proposition",
    openers="donc|ainsi|alors|par conséquent|finalement|en conclusion",
    articles="la|le|ma|notre|l'|une",
    qualities="bonne|bon|correcte|correct|exacte|juste|finale|meilleure|meilleur|seule|probable|plus",
    verbs="est|sera|serait|sont",
    choosing="je choisis|je prends|je sélectionne|il s'agit de",
    right=r"(?:donc\s+)?(?:la\s+|le\s+)?(?:bonne|bon|meilleure|seule)\s+(?:réponse|option|solution|choix)"
    r"|la\s+réponse(?:\s+(?:correcte|exacte|juste))?|correcte?|exacte?|juste",
    denied="pas|ni|jamais|sauf|plutôt que|non",
    wrong=r"n'?(?:est|était|était)\s+pas|ne\s+\w+\s+pas|est\s+(?:fausse?|incorrecte?)\b",
    joint="et|ou|ni",
    filler="la|le|les|l'|une?|option|réponse|lettre|proposition|probablement|sans doute|donc|à|au",
    because="car|parce que|puisque|parce qu'",
    hints="réponse|reponse|la solution|le bon choix|correcte|je choisis|je prends|je sélectionne",
)
SPANISH = European(
    "Spanish",
    "respuesta|opción|opcion|solución|alternativa",
    openers="por lo tanto|por tanto|así que|entonces|luego|en conclusión|finalmente|por eso",
    articles="la|mi|nuestra|una",
    qualities="correcta|final|mejor|única|adecuada|más probable",
    verbs="es|sería|será|son",
    choosing="elijo|escojo|selecciono|me quedo con|me decanto por",
    right=r"(?:la\s+)?(?:mejor\s+|única\s+)?(?:respuesta|opción|alternativa)(?:\s+(?:correcta|adecuada))?"
    r"|(?:la\s+)?correcta|correcto",
    denied="no|ni|nunca|excepto|salvo|en lugar de|no es|tampoco",
    wrong=r"no\s+(?:es|son|era|puede)\b|(?:es|son|era)\s+(?:falsa|incorrecta|errónea|incorrecto)\b",
    joint="y|o|u|ni",
    filler="la|el|las|una?|opción|opcion|respuesta|letra|alternativa|probablemente|claramente|en",
    because="porque|ya que|pues|puesto que|dado que",
    hints="respuesta|opción|opcion|solución|correcta|elijo|escojo|selecciono|me quedo con"
    "|me decanto",
)
ITALIAN = European(
    "Italian",
    "risposta|opzione|soluzione|alternativa",
    openers="quindi|dunque|pertanto|perciò|di conseguenza|in conclusione|infine",
    articles="la|l'|mia|una|la mia",
    qualities="corretta|giusta|esatta|finale|migliore|unica",
    verbs="è|sarebbe|sarà|sono",
    choosing="scelgo|seleziono|opto per",
    right=r"(?:quindi\s+)?(?:la\s+|l')?(?:migliore?\s+|unica\s+)?(?:risposta|opzione|soluzione)"
    r"(?:\s+(?:corretta|giusta|esatta))?|(?:quella\s+)?(?:corretta|giusta|esatta)",
    denied="non|né|ne|mai|tranne|eccetto|invece di",
    wrong=r"non\s+(?:è|sono|era|può)\b|(?:è|sono|era)\s+(?:sbagliata|errata|scorretta|falsa)\b",
    joint="e|o|oppure|né",
    filler="la|il|le|l'|una?|opzione|risposta|lettera|probabilmente|chiaramente|in|nella",
    because="perché|poiché|in quanto|dato che|siccome",
    hints="risposta|opzione|soluzione|corretta|giusta|scelgo|seleziono|opto per",
)
PORTUGUESE = European(
    "Portuguese",
    "resposta|alternativa|opção|opcao|solução|gabarito",
    openers="portanto|logo|assim|então|por isso|em conclusão|finalmente",
    articles="a|minha|nossa|uma|o",
    qualities="correta|certa|final|melhor|única|adequada",
    verbs="é|está|seria|será|são",
    choosing="escolho|eu escolho|seleciono|fico com",
    right=r"(?:a\s+)?(?:melhor\s+|única\s+)?(?:resposta|alternativa|opção)(?:\s+(?:correta|certa))?"
    r"|(?:a\s+)?(?:correta|certa)",
    denied="não|nem|nunca|exceto|salvo|em vez de",
    wrong=r"não\s+(?:é|são|era|está|pode)\b|(?:é|está|são)\s+(?:errada|incorreta|falsa)\b",
    joint="e|ou|nem",
    filler="a|o|as|uma?|opção|opcao|resposta|letra|alternativa|provavelmente|claramente|em|na",
    because="porque|pois|já que|visto que|uma vez que",
    hints="resposta|opção|opcao|solução|alternativa|gabarito|escolho|seleciono|fico com",
)
DUTCH = European(
    "Dutch",
    "antwoord|optie|oplossing|antwoordoptie",
    openers="dus|daarom|daarmee|bijgevolg|tot slot|kortom",
    articles="het|de|mijn|ons|een",
    qualities="juiste|correcte|goede|beste|uiteindelijke|enige|definitieve",
    verbs="is|luidt|zou zijn|zijn",
    choosing="ik kies voor|ik kies|ik selecteer",
    right=r"(?:dus\s+)?(?:het|de)\s+(?:(?:juiste|correcte|goede|beste|enige)\s+)?(?:antwoord|optie|oplossing)"
    r"|juist|correct|goed",
    denied="niet|noch|geen|behalve|in plaats van",
    wrong=r"(?:is|zijn|was|kan)\s+(?:het\s+)?(?:niet|fout|onjuist|incorrect|verkeerd)\b",
    joint="en|of|noch",
    filler="het|de|een|optie|antwoord|letter|waarschijnlijk|duidelijk|dus|in",
    because="omdat|want|aangezien|doordat",
    hints="antwoord|optie|oplossing|juist|ik kies|ik selecteer",
)
POLISH = European(
    "Polish",
    "odpowiedź|odpowiedzią|odpowiedz|opcja|opcją|rozwiązanie|rozwiązaniem",
    openers="zatem|więc|dlatego|a więc|tak więc|podsumowując|ostatecznie|stąd",
    articles="moja|moją|nasza",
    qualities="poprawna|prawidłowa|właściwa|ostateczna|najlepsza|poprawną|prawidłową|właściwą"
    "|ostateczną|najlepszą|poprawne|poprawnym|prawidłowe|prawidłowym",
    verbs="to|jest|jest to|brzmi|będzie",
    choosing="wybieram|zaznaczam",
    right=r"(?:to\s+)?(?:poprawn[aąey]|prawidłow[aąey]|właściw[aąey]|najlepsz[aą])"
    r"(?:\s+(?:odpowiedź|odpowiedzią|opcja|opcją))?|odpowiedzią",
    denied=r"nie|ani|nigdy|oprócz|zamiast|nie\s+jest|nie\s+to",
    wrong=r"(?:to\s+)?nie\b|(?:jest|są)\s+(?:błędn[aey]|niepoprawn[aey]|nieprawidłow[aey]|zła)\b",
    joint="i|oraz|lub|albo|ani|czy",
    filler="opcja|odpowiedź|litera|to|jest|prawdopodobnie|zapewne|na|w",
    because="ponieważ|bo|gdyż|dlatego że",
    hints="odpowied|opcja|rozwiązani|poprawn|prawidłow|wybieram|zaznaczam",
)
RUSSIAN = European(
    "Russian",
    "ответ|ответом|вариант|решение|вариантом",
    openers="поэтому|следовательно|таким образом|значит|итак|итого|в итоге",
    articles="мой|наш",
    qualities="правильный|верный|окончательный|лучший|правильным|верным|единственный|единственным"
    "|правильное|верное",
    verbs="это|является|будет|есть",
    choosing="я выбираю|выбираю|я выберу",
    right=r"(?:правильн(?:ый|ым|ая|о)|верн(?:ый|ым|ая|о)|лучш(?:ий|им))(?:\s+(?:ответ|ответом|вариант"
    r"|вариантом))?|ответ|ответом",
    denied="не|ни|кроме|вместо|нет|не является",
    wrong=r"(?:[-–—]\s*)?(?:это\s+)?(?:не\b|неправильн|неверн|ошибочн)|не\s+является",
    joint="и|или|либо|ни",
    filler="вариант|ответ|буква|опция|это|скорее всего|вероятно|в|на",
    because="потому что|так как|поскольку|ведь|ибо",
    hints="ответ|вариант|решение|правильн|верн|выбираю|выберу",
    bare=True,
)
CHINESE = Language(
    "Chinese",
    (
        Cue(
            ("答案", "选项", "選項", "正解"),
            r"(?:(?:所以|因此|故|综上(?:所述)?|综上,|那么|于是|最后)[,:]?\s*)?(?:本题|我)?的?"
            r"(?:正确|正確|最佳|最终|最終|最好|唯一)?的?",
            r"\s*(?:应该|應該|应|應|就|只能|可能)?(?:是|为|為|:|=|选|選)\s*:?\s*",
        ),
        Cue(
            ("选择", "選擇", "选", "選"),
            r"(?:(?:所以|因此|故|综上(?:所述)?)[,:]?\s*)?(?:我|应该|應該|应|應|故|就)?",
            r"\s*:?\s*(?:选项|選項|答案)?\s*(?=[(\[\"'*]{0,3}[A-Za-z](?![A-Za-z]))",
            unless=("不", "别", "勿", "没", "没有", "不能", "不应", "不应该", "不会"),
        ),
    ),
    nouns="选项|選項|答案",
    afterwards=r"(?:才|就)?(?:是|为)?(?:正确|正確|最佳|最好|对)(?:的)?(?:答案|选项|選項|选择)?的?"
    r"(?=[,.。;:!)\s]|\Z)|(?:才|就)?是答案",
    denied_before=r"(?:不|并非|并不|不会|不能|不应|除了?|而非|而不|既不|也不|没有)(?:是|选|為|为|选择)?"
    r"(?:选项|選項|答案)?\s*",
    denied_after=r"(?:选项)?(?:都|也|显然|并)?(?:不|错|錯|并非|是错|是不|有误)",
    joint="或者|或|和|与|及|还是|以及|、",
    filler="选项|選項|答案|应该|可能|大概|的|是|为",
    because="因为|由于|理由",
    hints=("答案", "选", "選", "正确", "正確"),
)
JAPANESE = Language(
    "Japanese",
    (
        Cue(
            ("答え", "正解", "解答", "回答", "答", "選択肢"),
            r"(?:(?:したがって|よって|従って|ゆえに|だから|つまり|結論として)[、,]?\s*)?"
            r"(?:正しい|最終的な|最も適切な|最終|最適な|私の)?",
            r"\s*(?:は|:|=)\s*[、,:]?\s*",
        ),
    ),
    nouns="選択肢|答え",
    afterwards=r"(?:番)?(?:が|こそが?|は)(?:唯一の|最も)?(?:正解|正しい|正答|答え|適切)(?!で?(?:は|も)?な)"
    r"|を(?:選び|選択し|選ぶ)(?!ま?せん)",
    denied_before=r"(?:以外の?)",
    denied_after=r"(?:番)?(?:で|じゃ|では|でも|は|が)?(?:は|も)?(?:あり|ありま|ない|なく|誤り|間違|不正解"
    r"|不適切|正しくな|違い|違う)",
    joint="または|もしくは|あるいは|及び|および|と|か|や|、",
    filler="選択肢|答え|おそらく|たぶん|の",
    because="なぜなら|理由は|から|ので",
    hints=("答", "正解", "選択", "選び", "正しい"),
)
KOREAN = Language(
    "Korean",
    (
        Cue(
            ("정답", "답", "답변", "선택지", "해답"),
            r"(?:(?:따라서|그러므로|그래서|결론적으로|즉)[,]?\s*)?(?:올바른|옳은|맞는|최종|가장\s+적절한|제)?\s*",
            r"(?:\s*(?:은|는|이|:|=)\s*)[:]?\s*",
        ),
    ),
    nouns="선택지|보기|정답|답",
    afterwards=r"\s*(?:번)?(?:이|가)\s*(?:올바른\s*|옳은\s*|맞는\s*)?(?:정답|답|맞)|를?\s*선택합니다"
    r"|\s*(?:번)?을\s*선택합니다",
    denied_before="",
    denied_after=r"\s*(?:번)?(?:이|가|은|는|도)?\s*(?:아니|아닙|아닌|틀|오답|잘못)",
    joint="또는|혹은|그리고|이나|나|와|과|및|하고",
    filler="선택지|보기|아마도?|바로",
    because="왜냐하면|때문에|이유는",
    hints=("답", "선택"),
)
LANGUAGES = (
    ENGLISH,
    *(
        each.language()
        for each in (GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH, POLISH, RUSSIAN)
    ),
    CHINESE,
    JAPANESE,
    KOREAN,
)
