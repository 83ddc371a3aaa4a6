"""What people say of episodes: the format of the file, and how far judges agree."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nitrogen_jax.errors import NitrogenError
from nitrogen_jax.evaluation import agreement
from nitrogen_jax.evaluation.agreement import FORMAT, Agreement, Said
from nitrogen_jax.evaluation.rollout import CRASH, FAILURE, OUTCOMES, SUCCESS

COUNTS = st.integers(0, 40)


def test_counts():
    outcomes = [SUCCESS, FAILURE, SUCCESS, FAILURE, CRASH, SUCCESS]
    person = [True, True, False, False, True]
    said = [Said("a", number, success) for number, success in enumerate(person)]
    found = agreement.agreement(said, {("a", at): one for at, one in enumerate(outcomes)})
    assert found == Agreement(1, 1, 1, 1, 1)
    assert (found.count, found.agreed, found.share, found.kappa) == (4, 2, 0.5, 0.0)
    assert found.to_json()["unjudged"] == 1


def test_kappa_of_a_known_table():
    # Two readers of 50: 20 both yes, 15 both no, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5).
    found = Agreement(20, 5, 10, 15)
    assert found.share == pytest.approx(0.7)
    assert found.kappa == pytest.approx(0.4)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_kappa_is_what_it_is_defined_as(both, judge, person, neither):
    found = Agreement(both, judge, person, neither)
    if found.count == 0:
        assert found.share is None
        assert found.kappa is None
        return
    n = found.count
    expected = ((both + judge) * (both + person) + (person + neither) * (judge + neither)) / n**2
    if found.kappa is None:
        assert n in (both, neither)
    else:
        assert found.kappa == pytest.approx((found.share - expected) / (1 - expected))
        assert found.kappa <= 1
        assert (found.kappa == 1) == (judge == person == 0)
        # Who is the judge and who the person makes no difference, nor what is called a success.
        assert Agreement(both, person, judge, neither).kappa == pytest.approx(found.kappa)
        assert Agreement(neither, judge, person, both).kappa == pytest.approx(found.kappa)


@given(
    st.dictionaries(
        st.tuples(st.text(max_size=5), st.integers(0, 9)),
        st.tuples(st.booleans(), st.text(max_size=9), st.sampled_from(OUTCOMES)),
    )
)
def test_every_verdict_is_counted_once(content):
    listed = [
        {"task": task, "episode": episode, "success": success, "note": note}
        for (task, episode), (success, note, _) in content.items()
    ]
    said = agreement.parse(json.loads(json.dumps({"format": FORMAT, "verdicts": listed})))
    assert [vars(one) for one in said] == listed
    found = agreement.agreement(said, {key: outcome for key, (_, _, outcome) in content.items()})
    assert found.count + found.unjudged == len(content)
    right = {True: SUCCESS, False: FAILURE}
    same = sum(outcome == right[success] for success, _, outcome in content.values())
    assert found.agreed == same


GOOD = {"task": "a/b", "episode": 0, "success": True}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ([], "format"),
        ({"format": "nitrogen verdicts 2", "verdicts": []}, "format"),
        ({"format": FORMAT}, "no list"),
        ({"format": FORMAT, "verdicts": [GOOD, 3]}, "verdict 1 is 3"),
        ({"format": FORMAT, "verdicts": [GOOD | {"success": 1}]}, "verdict 0"),
        ({"format": FORMAT, "verdicts": [GOOD | {"episode": True}]}, "verdict 0"),
        ({"format": FORMAT, "verdicts": [GOOD | {"episode": -1}]}, "verdict 0"),
        ({"format": FORMAT, "verdicts": [GOOD | {"note": 3}]}, "verdict 0"),
        ({"format": FORMAT, "verdicts": [GOOD, GOOD]}, "two verdicts on episode 0 of a/b"),
    ],
)
def test_other_files_are_refused(tmp_path, content, says):
    file = tmp_path / "verdicts.json"
    file.write_text(json.dumps(content))
    with pytest.raises(NitrogenError, match=says) as caught:
        agreement.read(file)
    assert str(file) in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(NitrogenError, match="cannot be read"):
        agreement.read(tmp_path / "none.json")
    (tmp_path / "torn.json").write_text('{"format": ')
    with pytest.raises(NitrogenError, match="no JSON"):
        agreement.read(tmp_path / "torn.json")


def test_a_verdict_on_what_was_not_played():
    with pytest.raises(NitrogenError, match="episode 3 of a/b"):
        agreement.agreement([Said("a/b", 3, True)], {("a/b", 0): SUCCESS})


def test_verdicts_of_another_evaluation(tmp_path):
    file = tmp_path / "verdicts.json"
    file.write_text(json.dumps({"format": FORMAT, "created": "1970", "verdicts": [GOOD]}))
    assert agreement.read(file) == agreement.read(file, "1970") == [Said("a/b", 0, True)]
    with pytest.raises(NitrogenError, match="evaluation of 1970"):
        agreement.read(file, "1971")
    file.write_text(json.dumps({"format": FORMAT, "verdicts": [GOOD]}))
    assert len(agreement.read(file, "1971")) == 1  # it does not say of which


def test_in_words():
    assert "yet" in Agreement().sentence()
    assert "1 of 1 episode (100.0%), Cohen's kappa cannot" in Agreement(both_success=1).sentence()
    words = Agreement(20, 5, 10, 15, 2).sentence()
    assert "35 of 50 episodes (70.0%), Cohen's kappa 0.40. 2 more" in words
