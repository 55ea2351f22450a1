from raygen.checks import AnswerClass, group_equal


async def test_equal_answers_make_one_class_and_the_largest_comes_first() -> None:
    compared: list[tuple[str, str]] = []

    async def equal(one: str, other: str) -> bool:
        compared.append((one, other))
        return float(one) == float(other)

    classes = await group_equal(["7", "1", None, "1.0", "1", "7"], equal)
    assert classes == [AnswerClass((1, 3, 4), ("1", "1.0")), AnswerClass((0, 5), ("7",))]
    assert compared == [("1", "7"), ("1.0", "7"), ("1.0", "1")]


async def test_no_answers_make_no_class() -> None:
    async def equal(one: str, other: str) -> bool:
        raise AssertionError("nothing to compare")

    assert await group_equal([None, None], equal) == []
