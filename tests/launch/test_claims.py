"""Claims of papers: what is asked is possible, what is judged comes from records, and a campaign goes on."""

import doctest
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lukasa.ground.mistakes import UserError
from lukasa.launch.campaigns import jobs
from lukasa.launch.campaigns.claims import figures_of, verdicts
from lukasa.launch.campaigns.claims.claim import Bound, Claim, Quick, Trained, quick_form
from lukasa.launch.campaigns.claims.figures_of import look_up
from lukasa.launch.campaigns.claims.ladder import write_pages
from lukasa.launch.campaigns.claims.reproduce import EXAMPLES
from lukasa.launch.campaigns.claims.table import CLAIMS
from lukasa.launch.campaigns.claims.verdicts import judge
from lukasa.launch.campaigns.job import Job
from lukasa.launch.campaigns.jobs import run_campaign, run_jobs
from lukasa.launch.campaigns.records import MOST_POINTS, Folder, Record
from lukasa.launch.cli import main
from lukasa.launch.kinds.table import kind_of
from lukasa.launch.options.parsing import parse
from lukasa.launch.runs.stopping import Stop
from lukasa.launch.training.requests import kind_for, read_command_line
from tests.launch.ended_processes import own_processes_here
from tests.launch.refusals import fails

TINY = "task --task copy --sampler.max-length 2 --core gru --memory.size 8 --batch-size 4 --report-every 40"
TOY = Claim(
    "toy",
    "nobody & nowhere <2026>",
    "A tiny network is scored.",
    (Trained("gru", f"{TINY} --steps 160", "--sequences 8"),),
    (Bound("bits per sequence", "gru", "score", at_most=1000.0),),
    seeds=(0,),
    minutes=0.1,
)
FORMS = [*CLAIMS.values(), *(quick_form(claim) for claim in CLAIMS.values() if claim.quick)]


def record(claim, model=0, seed=0, **told):
    job = claim.job(claim.models[model], seed)
    done = {
        "steps": 160,
        "steps_scored": 160,
        "of": 160,
        "finished": True,
        "evaluation": {"score": 1.0},
        "curve": ((80.0, 3.0), (160.0, 1.0)),
    }
    return job, Record(job.name, job.asked, **(done | told))


def kept(folder, *records):
    for job, one in records:
        folder.write(job, one)
    return folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "ladder")


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(CLAIMS, "toy", replace(TOY, quick=Quick(0.1)))
    return TOY


@pytest.mark.parametrize("module", [figures_of, verdicts])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("claim", FORMS, ids=lambda claim: f"{claim.name}-{len(claim.models)}-{len(claim.seeds)}")
def test_claims_can_be_run_and_judged(claim):
    names = [model.name for model in claim.models]
    assert len(set(names)) == len(names)
    assert re.fullmatch(r"[a-z0-9_]+", claim.name)
    for bound in claim.bounds:
        assert set(bound.models) <= set(names)
        assert (bound.at_least is None) != (bound.at_most is None)
    for place, model in enumerate(claim.models):
        assert model.start_from is None or model.start_from in names[:place]
        job = claim.job(model, claim.seeds[0])
        asked = read_command_line(job.train[0], job.train[1:])
        kind = kind_for(kind_of(job.train[0]), job.train[1:])
        kind.experiments.check_numbers(asked.experiment)
        kind.experiments.check_together(asked.experiment)
        parse(kind.evaluation().options, job.evaluate, prog="lukasa eval")


def test_there_are_quick_forms_of_every_sort():
    quick = [claim for claim in CLAIMS.values() if claim.quick]
    assert len(quick) == 9
    assert any("of nine claims" in text for _, text in EXAMPLES)
    assert "of nine claims" in (Path(__file__).parents[2] / "docs" / "reproducing.md").read_text()
    kinds = {model.train.split()[0] for claim in quick for model in quick_form(claim).models}
    assert kinds >= {"task", "rl", "few-shot", "questions", "programs", "circuits"}


def test_figures_are_found_by_their_path():
    rows = [{"ways": 5, "shots": 1, "accuracy": 98.0}, {"ways": 5, "shots": 5, "accuracy": 99.0}]
    found = {"rows": rows, "ablation": [{"without": None, "score": 1.0}, {"without": "memory", "score": 0.1}]}
    assert look_up(found, "rows[ways=5,shots=5].accuracy") == 99.0
    assert look_up(found, "ablation[without=null].score") == look_up(found, "ablation[without=None].score") == 1.0
    assert look_up(found, "ablation[without=memory].score") == 0.1
    assert look_up(found, "rows") == 2
    for path in ("rows[ways=20].accuracy", "rows[ways=5].none.deeper", "ablation.score", "nothing"):
        with pytest.raises(KeyError):
            look_up(found, path)
    with pytest.raises(KeyError):
        look_up({"score": float("nan")}, "score")


def test_a_claim_is_reached_when_all_is_run_and_every_bound_is_met(folder):
    claim = replace(TOY, seeds=(0, 1), bounds=(Bound("bits", "gru", "score", at_most=2.0),))
    assert judge(claim, folder).word == "not run"
    kept(folder, record(claim, seed=0))
    verdict = judge(claim, folder)
    assert verdict.word == "begun"
    assert verdict.told == "begun, 1 of 2 runs done; reached so far"
    kept(folder, record(claim, seed=1, evaluation={"score": 2.5}))
    assert judge(claim, folder).word == "reached"  # the mean, 1.75
    each = replace(claim, bounds=(replace(claim.bounds[0], every_seed=True),))
    assert judge(each, folder).word == "missed"
    assert judge(each, folder).told == "missed: bits by 0.5"


def test_a_run_that_is_not_trained_to_its_end_decides_nothing(folder):
    claim = replace(TOY, bounds=(Bound("bits", "gru", "score", at_most=0.25),))
    kept(folder, record(claim, finished=False, steps=80))
    verdict = judge(claim, folder)
    assert verdict.word == "begun"
    assert verdict.told == "begun, 0 of 1 runs done; missed so far: bits by 0.75"
    assert verdict.found[0].early


def test_a_run_that_was_scored_before_its_end_is_not_over(folder):
    kept(folder, record(TOY, steps_scored=80))
    verdict = judge(TOY, folder)
    assert not verdict.records[0].is_over
    assert verdict.word == "begun"


def test_figures_are_compared_seed_by_seed(folder):
    models = (TOY.models[0], replace(TOY.models[0], name="lstm"))
    claim = replace(
        TOY, models=models, seeds=(0, 1), bounds=(Bound("more", "lstm", "score", at_least=5.0, minus=("gru", "score")),)
    )
    kept(folder, record(claim, 0, 0), record(claim, 1, 0, evaluation={"score": 11.0}))
    kept(folder, record(claim, 1, 1, evaluation={"score": 4.0}))
    assert judge(claim, folder).found[0].values == {0: 10.0}
    kept(folder, record(claim, 0, 1, evaluation={"score": 3.0}))
    assert judge(claim, folder).found[0].values == {0: 10.0, 1: 1.0}
    assert judge(claim, folder).word == "reached"


def test_a_figure_may_be_of_the_training(folder):
    claim = replace(TOY, bounds=(Bound("level", "gru", "training.last.level", at_least=1000.0),))
    kept(folder, record(claim, last={"level": 512.0}))
    assert judge(claim, folder).told == "missed: level by 488"


def test_a_figure_that_was_not_scored_is_named(folder):
    claim = replace(
        TOY, bounds=(Bound("bits", "gru", "other", at_most=1.0), Bound("wrong", "gru", "score", at_most=2.0))
    )
    kept(folder, record(claim))
    assert judge(claim, folder).told == "missed: bits is not among what was scored"


def test_a_record_of_another_run_is_refused(folder):
    kept(folder, record(TOY))
    longer = replace(TOY, models=(replace(TOY.models[0], train=f"{TINY} --steps 320"),))
    with pytest.raises(UserError, match="trained or scored otherwise"):
        judge(longer, folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"name": "x", "curve": [1]}', '{"curve": [], "extra": 1}'])
def test_a_broken_record_is_refused(folder, text):
    kept(folder, record(TOY))
    file = next((folder.path / "records").iterdir())
    file.write_text(text)
    with pytest.raises(UserError, match="is corrupt"):
        judge(TOY, folder)


def test_curves_in_records_are_thinned(tmp_path):
    from lukasa.launch.campaigns.records import _thinned

    points = [(float(step), 0.0) for step in range(1, 1002)]
    thin = _thinned(points)
    assert len(thin) <= MOST_POINTS + 1
    assert thin[-1] == points[-1]
    assert _thinned([]) == ()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A campaign that has run: a model, one that begins with its weights, one that fails, one that waits for it."""
    folder = Folder(tmp_path_factory.mktemp("campaign") / "ladder")
    further = replace(TOY, models=(*TOY.models, replace(TOY.models[0], name="further", start_from="gru")))
    broken = Job("broken", ("task", "--task", "no_such_task"))
    jobs = [broken, replace(broken, name="after", start_from="broken"), *further.jobs()]
    with own_processes_here():
        run_jobs(folder, jobs, Stop(), at_once=2)
    return folder


@pytest.fixture
def ran(campaign, tmp_path):
    """A copy of it."""
    return Folder(shutil.copytree(campaign.path, tmp_path / "ladder"))


def test_runs_are_trained_and_scored(ran):
    found = ran.record(TOY.jobs()[0])
    assert (found.steps, found.of, found.finished, found.counted) == (160, 160, True, "sequences")
    assert found.evaluation["sequences"] == 8
    assert str(ran.path.parent) not in json.dumps(found.evaluation)  # a record outlives its run
    assert found.last["sequences"] == 160
    assert found.best == min(score for _, score in found.curve)
    assert found.is_over


def test_weights_of_one_model_begin_another(ran):
    config = json.loads((ran.run("toy.further.0") / "config.json").read_text())
    assert config["experiment"]["start_from"].endswith("runs/toy.gru.0")


def test_a_run_that_fails_keeps_its_reason_and_the_others_go_on(ran):
    broken = Job("broken", ("task", "--task", "no_such_task"))
    assert "no_such_task" in ran.record(broken).failure
    assert not ran.record(broken).is_over
    assert ran.record(replace(broken, name="after", start_from="broken")) is None


def test_a_campaign_of_which_a_run_failed_exits_with_1(ran):
    assert run_campaign(ran, [Job("broken", ("task", "--task", "no_such_task"))]) == 1
    assert run_campaign(ran, TOY.jobs()) == 0


def test_the_command_judges_and_trains_nothing_twice(toy, ran, capsys):
    shutil.rmtree(ran.path / "runs")  # records are enough
    assert main(["reproduce", "toy", "--out", str(ran.path), "--strict"]) == 0
    printed = capsys.readouterr()
    assert "toy  reached" in printed.out
    assert "trains" not in printed.err
    assert (ran.path / "toy.png").exists()
    assert main(["reproduce", "toy", "--out", str(ran.path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["claims"][0]["verdict"] == "reached"


def test_a_run_that_was_trained_already_is_scored_alone(ran, monkeypatch):
    job = TOY.jobs()[0]
    ran.write(job, replace(ran.record(job), evaluation=None))
    started = follow(monkeypatch)
    run_jobs(ran, [job], Stop())
    assert [words[0] for words in started] == ["eval"]
    assert ran.record(job).is_over


def test_a_run_that_was_begun_goes_on(ran, monkeypatch):
    job = TOY.jobs()[0]
    config = ran.run(job.name) / "config.json"
    text = json.loads(config.read_text())
    text["experiment"]["steps"] = 320
    config.write_text(json.dumps(text))
    ran.write(job, replace(ran.record(job), finished=False))
    started = follow(monkeypatch)
    with own_processes_here():
        run_jobs(ran, [job], Stop())
    assert started[0] == ["train", "task", "--resume", "--out", str(ran.run(job.name))]
    assert ran.record(job).steps == 320


def test_what_a_killed_process_left_of_a_run_is_not_in_the_way(folder, monkeypatch):
    job, found = TOY.jobs()[0], []
    (folder.run(job.name) / "checkpoints").mkdir(parents=True)  # and no config.json

    def start(self, words, out):
        found.append((words[0], folder.run(job.name).exists()))
        return subprocess.Popen(["true"])

    monkeypatch.setattr(jobs._Worker, "_start", start)
    run_jobs(folder, [job], Stop())
    assert found == [("train", False)]


def follow(monkeypatch):
    """The command lines that are run from now on."""
    started, start = [], jobs._Worker._start

    def noted(self, words, out):
        started.append(list(words))
        return start(self, words, out)

    monkeypatch.setattr(jobs._Worker, "_start", noted)
    return started


def test_no_time_is_no_training(folder):
    run_jobs(folder, TOY.jobs(), Stop(), minutes=0)
    assert not (folder.path / "runs").exists()


def test_pages_hold_the_figures_and_nothing_from_elsewhere(toy, folder):
    kept(folder, record(toy, written_by={"versions": {"lukasa": "1"}, "commit": "0123456789", "created": "now"}))
    unseen = replace(toy, name="unseen")
    pages = write_pages(folder.path, [judge(toy, folder), judge(unseen, folder)])
    assert [page.name for page in pages] == ["ladder.md", "ladder.html"]
    text, html = (page.read_text() for page in pages)
    assert "1 reached, 0 missed, 0 begun, 1 not run, of 2 claims" in text
    assert "[toy](ladder/toy.md)" in text
    own = (folder.path / "toy.md").read_text()
    assert "bits per sequence" in own
    assert "commit 0123456" in own
    assert f"lukasa train {toy.models[0].train} --seed SEED" in own
    assert "nobody &amp; nowhere &lt;2026&gt;" in html
    assert "<2026>" not in html
    assert "data:image/png;base64," in html
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!data:|#)", html)
    assert not (folder.path / "unseen.md").exists()


@pytest.mark.slow
def test_training_that_is_out_of_time_is_scored_and_goes_on(folder):
    job = replace(TOY, models=(Trained("gru", f"{TINY} --steps 4000000", "--sequences 8"),)).jobs()[0]
    run_jobs(folder, [job], Stop(), minutes=0.3)
    first = folder.record(job)
    assert not first.finished
    assert first.steps > 0
    assert first.evaluation is not None
    run_jobs(folder, [job], Stop(), minutes=0.3)
    assert folder.record(job).steps > first.steps


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nonsense"], "there is no claim 'nonsense'"),
        (["copi"], "did you mean 'copy'"),
        (["tape_copy", "--quick"], "has no quick form"),
        (["copy", "--budget", "-1"], "option --budget is -1.0: expected at least 0"),
        (["copy", "--seeds", "0"], "option --seeds is 0: expected at least 1"),
        (["copy", "--concurrent", "0"], "option --concurrent is 0"),
        (["copy", "--bugdet", "3"], "did you mean '--budget'"),
    ],
)
def test_mistakes_are_one_sentence_and_write_nothing(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert told in fails(capsys, "reproduce", *words)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_named(toy, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in fails(capsys, "reproduce", "toy", "--out", str(tmp_path / "file" / "x"))


def test_claims_that_read_real_files_are_left_out_without_them(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("LUKASA_DATA", raising=False)
    assert main(["reproduce", "memn2n", "--out", str(tmp_path / "ladder"), "--strict"]) == 1
    printed = capsys.readouterr()
    assert "set LUKASA_DATA" in printed.err
    assert "memn2n  not run" in printed.out


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", [claim.name for claim in CLAIMS.values() if claim.quick])
def test_quick_forms_are_reached(name, tmp_path):
    if CLAIMS[name].needs_data and not os.environ.get("LUKASA_DATA"):
        pytest.skip("needs real files: set LUKASA_DATA")
    assert main(["reproduce", name, "--quick", "--strict", "--out", str(tmp_path / "quick")]) == 0
