"""SSML and the one path from a request's content to spoken parts."""

from __future__ import annotations

import pytest

from edge_tts.errors import BadRequest, NothingToSay, UnknownLanguage
from edge_tts.frontend.base import SpokenPart
from edge_tts.frontend.parts import parts


def speak(markup: str) -> list[SpokenPart]:
    return list(parts(ssml=f"<speak>{markup}</speak>", language="en-US"))


def said(markup: str) -> list[str]:
    return [part.sentence.text for part in speak(markup)]


def test_plain_text_and_ssml_without_markup_are_the_same() -> None:
    assert speak("Hello, robot. Go!") == list(parts(text="Hello, robot. Go!", language="en-US"))


def test_phonemes_become_parts() -> None:
    assert [part.sentence.words[0].phones for part in parts(phonemes="K AE1 T", language="en-US")] == [
        ("K", "AE1", "T")
    ]


def test_paragraphs_and_sentences() -> None:
    found = speak("<p>One two</p><p><s>three</s><s>four</s></p>five")
    assert [part.sentence.text for part in found] == ["one two", "three", "four", "five"]
    assert found[0].sentence.pause > found[1].sentence.pause


def test_line_ends_are_spaces() -> None:
    assert said("\n  One\n  Two\n\n  three.\n") == ["one two three"]


def test_break_with_a_time_ends_the_sentence_with_that_pause() -> None:
    found = speak('Wait <break time="1500ms"/> now. <break time="2s"/> <break time="1s"/>Go')
    assert [(part.sentence.text, part.sentence.pause) for part in found[:2]] == [("wait", 1.5), ("now", 3.0)]


@pytest.mark.parametrize(
    ("strength", "count"), [("none", 1), ("weak", 1), ("medium", 1), ("strong", 2), ("x-strong", 2)]
)
def test_break_strength(strength: str, count: int) -> None:
    assert len(speak(f'one <break strength="{strength}"/> two')) == count


def test_leading_break_is_left_out() -> None:
    assert said('<break time="2s"/>Hi') == ["hi"]


def test_sub_is_read_instead() -> None:
    assert said('<sub alias="World Wide Web Consortium">W3C</sub> rules') == ["world wide web consortium rules"]


@pytest.mark.parametrize(
    ("attributes", "text", "expected"),
    [
        ('interpret-as="characters"', "AB-12", "a b dash one two"),
        ('interpret-as="spell-out"', "robot", "r o b o t"),
        ('interpret-as="digits"', "0042", "zero zero four two"),
        ('interpret-as="cardinal"', "-1,234.5", "minus one thousand two hundred thirty four point five"),
        ('interpret-as="ordinal"', "21", "twenty first"),
        ('interpret-as="date" format="dmy"', "3/4/2026", "april third twenty twenty six"),
        ('interpret-as="date" format="mdy"', "3/4/2026", "march fourth twenty twenty six"),
        ('interpret-as="date"', "2026-11-20", "november twentieth twenty twenty six"),
        ('interpret-as="time"', "2:30pm", "two thirty pm"),
        ('interpret-as="telephone"', "+1 555 1234", "plus one five five five one two three four"),
    ],
)
def test_say_as(attributes: str, text: str, expected: str) -> None:
    assert said(f"<say-as {attributes}>{text}</say-as>") == [expected]


def test_say_as_stands_inside_its_sentence() -> None:
    found = speak('Call <say-as interpret-as="digits">911</say-as>, now.')
    assert [part.sentence.text for part in found] == ["call nine one one now"]


def test_article_before_inserted_words() -> None:
    the = speak('the <say-as interpret-as="cardinal">8</say-as> doors')[0].sentence.words[0]
    assert the.phones == ("DH", "IY0")
    the = speak('the <say-as interpret-as="cardinal">9</say-as> doors')[0].sentence.words[0]
    assert the.phones == ("DH", "AH0")


def test_private_use_characters_of_the_text_are_left_out() -> None:
    assert said("the \ue000 robot") == ["the robot"]


def test_phoneme() -> None:
    word = speak('You say <phoneme alphabet="x-arpabet" ph="T AH0 M AA1 T OW0">Tomato</phoneme>.')[0].sentence.words[2]
    assert (word.text, word.phones) == ("tomato", ("T", "AH0", "M", "AA1", "T", "OW0"))


@pytest.mark.parametrize(
    ("attributes", "rate", "pitch", "volume"),
    [
        ('rate="slow"', 0.75, 0, 1),
        ('rate="150%"', 1.5, 0, 1),
        ('rate="+20%"', 1.2, 0, 1),
        ('rate="9"', 2.0, 0, 1),
        ('pitch="+2st"', 1, 2, 1),
        ('pitch="low"', 1, -2, 1),
        ('pitch="-50%"', 1, -6, 1),
        ('volume="50"', 1, 0, 0.5),
        ('volume="-20dB"', 1, 0, 0.1),
        ('volume="soft" rate="fast"', 1.3, 0, 0.5),
    ],
)
def test_prosody(attributes: str, rate: float, pitch: float, volume: float) -> None:
    before, inside, after = speak(f"one <prosody {attributes}>two</prosody> three")
    assert (inside.rate, inside.pitch, inside.volume) == pytest.approx((rate, pitch, volume))
    assert (before.rate, before.pitch, before.volume) == (after.rate, after.pitch, after.volume) == (1, 0, 1)


def test_prosody_is_nested() -> None:
    inner = speak('<prosody rate="2" pitch="+1st">a <prosody rate="50%" pitch="+1st">b</prosody></prosody>')[1]
    assert (inner.rate, inner.pitch) == (1.0, 2.0)


def test_emphasis_is_read_plainly_and_namespaces_are_accepted() -> None:
    namespace = 'version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US"'
    document = f"<speak {namespace}>An <emphasis>old</emphasis> hat</speak>"
    assert [part.sentence.text for part in parts(ssml=document, language="en")] == ["an old hat"]


@pytest.mark.parametrize(
    ("markup", "named"),
    [
        ('<audio src="x.wav"/>', "audio"),
        ("<speak>x</speak>", "speak"),
        ('<break length="2s"/>', "length"),
        ('<break time="2"/>', "2"),
        ('<break time="1h"/>', "1h"),
        ('<break time="11s"/>', "11s"),
        ('<break strength="huge"/>', "huge"),
        ("<sub>x</sub>", "alias"),
        ('<say-as interpret-as="poem">x</say-as>', "poem"),
        ('<say-as interpret-as="cardinal">many</say-as>', "many"),
        ('<say-as interpret-as="ordinal">-1</say-as>', "-1"),
        ('<say-as interpret-as="date" format="mdy">20/11/2026</say-as>', "20/11/2026"),
        ('<phoneme alphabet="ipa" ph="x">x</phoneme>', "ipa"),
        ('<phoneme ph="QQ1">x</phoneme>', "QQ1"),
        ('<prosody rate="silly">x</prosody>', "silly"),
        ('<prosody pitch="200Hz">x</prosody>', "200Hz"),
        ('<prosody volume="5st">x</prosody>', "5st"),
        ("<sub alias='a'><p>x</p></sub>", "sub"),
        ("AT&T", "&amp;"),
        ("<p>x", "XML"),
        ("<p>" * 40 + "x" + "</p>" * 40, "nested"),
    ],
)
def test_what_is_not_understood_is_named(markup: str, named: str) -> None:
    with pytest.raises(BadRequest, match=named.replace("+", r"\+")):
        speak(markup)


@pytest.mark.parametrize("document", ["hello", "", "<p>x</p>", "<speak>a</speak><speak>b</speak>"])
def test_document_must_be_one_speak_element(document: str) -> None:
    with pytest.raises(BadRequest):
        parts(ssml=document, language="en-US")


def test_document_types_and_entities_are_refused() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><speak>&b;</speak>'
    with pytest.raises(BadRequest, match="entities"):
        parts(ssml=bomb, language="en-US")


@pytest.mark.parametrize("markup", ["", "<p> </p>", '<break time="1s"/>', "<s>...</s>"])
def test_nothing_to_say(markup: str) -> None:
    with pytest.raises(NothingToSay):
        parts(ssml=f"<speak>{markup}</speak>", language="en-US")


def test_unknown_language() -> None:
    with pytest.raises(UnknownLanguage):
        parts(text="hello", language="tlh")
