"""Answers announced in other languages than English: ten phrasings each, and never read wrong."""

import pytest

from raygen.core.answers import read_answer

OPTIONS = ["barn", "cave", "desert", "field", "garden"]
PHRASINGS = {
    "German": (
        "Die Antwort ist ({L}).",
        "Die richtige Antwort ist {L}.",
        "Also ist die Antwort ({L}).",
        "Daher lautet die korrekte Antwort {L}.",
        "Antwort: {L}",
        "Die richtige Antwort lautet: {L}",
        "Die Lösung ist Option {L}.",
        "({L}) ist die richtige Antwort.",
        "{L} ist korrekt.",
        "Option {L} ist richtig.",
        "Ich wähle {L}.",
        "Ich entscheide mich für Option {L}.",
        "Richtig ist {L}.",
    ),
    "French": (
        "La réponse est ({L}).",
        "La bonne réponse est {L}.",
        "La réponse correcte est la {L}.",
        "Réponse : {L}",
        "Donc, la réponse est l'option {L}.",
        "Par conséquent, la bonne réponse est {L}",
        "La solution est {L}.",
        "La réponse finale est {L}.",
        "Je choisis {L}.",
        "({L}) est la bonne réponse.",
        "L'option {L} est correcte.",
    ),
    "Spanish": (
        "La respuesta es ({L}).",
        "La respuesta correcta es {L}.",
        "Por lo tanto, la respuesta es la opción {L}.",
        "Respuesta: {L}",
        "Respuesta final: {L}",
        "La opción correcta es la {L}.",
        "Así que la respuesta es {L}",
        "La solución es {L}.",
        "Elijo {L}.",
        "{L} es la respuesta correcta.",
        "La opción {L} es correcta.",
    ),
    "Italian": (
        "La risposta è ({L}).",
        "La risposta corretta è {L}.",
        "Quindi la risposta è {L}.",
        "Risposta: {L}",
        "Risposta finale: {L}",
        "L'opzione corretta è la {L}.",
        "La soluzione è {L}",
        "La risposta giusta è l'opzione {L}.",
        "Scelgo {L}.",
        "{L} è la risposta corretta.",
        "L'opzione {L} è corretta.",
    ),
    "Portuguese": (
        "A resposta é ({L}).",
        "A resposta correta é {L}.",
        "Portanto, a resposta é {L}.",
        "Resposta: {L}",
        "Resposta final: {L}",
        "A alternativa correta é a {L}.",
        "A opção correta é a letra {L}.",
        "Gabarito: {L}",
        "Escolho {L}.",
        "{L} é a resposta correta.",
        "A alternativa {L} está correta.",
    ),
    "Dutch": (
        "Het antwoord is ({L}).",
        "Het juiste antwoord is {L}.",
        "Dus het antwoord is {L}.",
        "Antwoord: {L}",
        "Het correcte antwoord luidt {L}.",
        "De juiste optie is {L}.",
        "Daarom is het antwoord ({L}).",
        "De oplossing is {L}.",
        "Ik kies voor {L}.",
        "{L} is het juiste antwoord.",
        "Optie {L} is juist.",
    ),
    "Polish": (
        "Odpowiedź to ({L}).",
        "Poprawna odpowiedź to {L}.",
        "Zatem odpowiedź to {L}.",
        "Odpowiedź: {L}",
        "Prawidłowa odpowiedź: {L}",
        "Poprawną odpowiedzią jest {L}.",
        "Ostateczna odpowiedź brzmi {L}.",
        "Rozwiązanie to {L}.",
        "Wybieram {L}.",
        "{L} jest poprawną odpowiedzią.",
        "Opcja {L} jest poprawna.",
    ),
    "Russian": (
        "Ответ: ({L}).",
        "Ответ: {L}",
        "Правильный ответ: {L}.",
        "Правильный ответ — {L}.",
        "Верный ответ {L}.",
        "Таким образом, ответ: {L}",
        "Следовательно, правильный ответ это {L}.",
        "Правильным ответом является {L}.",
        "Я выбираю {L}.",
        "{L} — правильный ответ.",
        "Вариант {L} является правильным.",
    ),
    "Chinese": (
        "答案是{L}。",
        "答案是({L})。",
        "答案：{L}",
        "正确答案是{L}。",
        "所以正确答案为{L}。",
        "因此，答案是选项{L}。",
        "最终答案：{L}",
        "正确选项是{L}",
        "故选{L}。",
        "我选择{L}。",
        "{L}是正确答案。",
        "选项{L}是正确的。",
        "正確答案是{L}。",
    ),
    "Japanese": (
        "答えは{L}です。",
        "答えは({L})です。",
        "答え：{L}",
        "正解は{L}です。",
        "したがって、正解は{L}です。",
        "よって、答えは{L}となります。",
        "正しい選択肢は{L}です。",
        "最終的な答えは{L}",
        "解答：{L}",
        "{L}が正解です。",
        "私は{L}を選びます。",
    ),
    "Korean": (
        "정답은 {L}입니다.",
        "정답은 ({L})입니다.",
        "정답: {L}",
        "답은 {L}입니다.",
        "답: {L}",
        "따라서 정답은 {L}입니다.",
        "올바른 답은 {L}입니다.",
        "최종 답은 {L}",
        "정답은 {L}번입니다.",
        "{L}가 정답입니다.",
        "{L}를 선택합니다.",
    ),
}
NONE_OF_THEM = (
    "Die Antwort ist nicht ({L}).",
    "Die Antwort ist weder {L} noch {M}.",
    "Die Antwort ist {L} oder {M}.",
    "{L} ist falsch.",
    "La réponse n'est pas {L}.",
    "La réponse est {L} ou {M}.",
    "{L} n'est pas la bonne réponse.",
    "La respuesta no es {L}.",
    "La respuesta es {L} o {M}.",
    "{L} no es la respuesta correcta.",
    "La risposta non è {L}.",
    "La risposta è {L} o {M}.",
    "A resposta não é {L}.",
    "A resposta é {L} ou {M}.",
    "Het antwoord is niet {L}.",
    "Het antwoord is {L} of {M}.",
    "Odpowiedź to nie {L}.",
    "Odpowiedź to {L} lub {M}.",
    "Ответ не {L}.",
    "Ответ: {L} или {M}.",
    "Ответ: не {L}.",
    "答案不是{L}。",
    "答案是{L}或{M}。",
    "{L}不是正确答案。",
    "不选{L}。",
    "答えは{L}ではありません。",
    "答えは{L}または{M}です。",
    "{L}は正解ではない。",
    "정답은 {L}가 아닙니다.",
    "정답은 {L} 또는 {M}입니다.",
    "{L}가 아닙니다.",
)


def check_announcement(phrasing: str, index: int, before: str) -> None:
    text = before + phrasing.format(L="ABCDE"[index])
    answer = read_answer(text, OPTIONS)
    assert answer.option == index, text
    assert answer.confidence >= 0.7, text


@pytest.mark.parametrize("language", PHRASINGS)
def test_announcements_are_read(language: str) -> None:
    assert len(PHRASINGS[language]) >= 10
    for number, phrasing in enumerate(PHRASINGS[language]):
        check_announcement(phrasing, number % 5, "x = 3 + 4.\n" if number % 2 else "")


@pytest.mark.slow
@pytest.mark.parametrize("language", PHRASINGS)
def test_announcements_of_every_letter_are_read(language: str) -> None:
    for phrasing in PHRASINGS[language]:
        for index in range(5):
            for before in ("", "x = 3 + 4.\n"):
                check_announcement(phrasing, index, before)


@pytest.mark.parametrize("phrasing", NONE_OF_THEM)
def test_what_is_denied_or_doubtful_is_not_read(phrasing: str) -> None:
    for index, letter in enumerate("ABCD"):
        text = phrasing.format(L=letter, M="ABCDE"[index + 1])
        assert read_answer(text, OPTIONS).option is None, text


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Die Antwort ist (B), weil (A) falsch ist.", 1),
        ("Die Antwort ist nicht (A), sondern (C).", 2),
        ("La réponse est (B), car (A) est fausse.", 1),
        ("La respuesta es B porque A es incorrecta.", 1),
        ("答案是B，因为A是错的。", 1),
        ("正解はCです。Aは間違いです。", 2),
        ("정답은 D입니다. A는 틀렸습니다.", 3),
        ("Ответ: B, потому что A неверно.", 1),
    ],
)
def test_reasons_name_no_rival(text: str, option: int) -> None:
    assert read_answer(text, OPTIONS).option == option


@pytest.mark.parametrize(
    ("text", "choices", "option"),
    [
        ("Die Antwort ist das Flussufer.", ["Bank", "Flussufer", "Mond"], 1),
        ("Réponse : la lune", ["banque", "rivière", "lune"], 2),
        ("答案是河岸。", ["银行", "河岸", "月亮"], 1),
        ("答えは月です。", ["銀行", "川岸", "月"], 2),
        ("정답은 강둑입니다.", ["은행", "강둑", "달"], 1),
        ("Правильный ответ: луна.", ["банк", "берег", "луна"], 2),
        ("La respuesta es sí.", ["sí", "no"], 0),
    ],
)
def test_options_are_read_by_their_words(text: str, choices: list[str], option: int) -> None:
    assert read_answer(text, choices).option == option
