"""What the experiments have shown: ``distill report experiments``, and what a sweep of one leaves behind."""

from pathlib import Path

from distill.cli import arms
from distill.cli.arguments import Arguments
from distill.cli.sources import ROOT
from distill.errors import BadInput, BadInputs
from distill.evidence import claim as claims
from distill.evidence import results, tables
from distill.evidence.claim import ALONE, Claim
from distill.evidence.results import RESULTS, Result
from distill.evidence.verdict import FEWEST, judged
from distill.storage import write_text

README = "README.md"


def told() -> int:
    """Print every claim's verdict, and write all tables that stand between markers."""
    found = known()
    for claim, measured in found:
        print(f"{claim.name}: {judged(claim, measured).counted}; {claim.command}")
    for path in stale(write=True):
        print(f"written: {path}")
    return 0


def known() -> list[tuple[Claim, list[Result]]]:
    """Every experiment that makes a claim, with its results, by name."""
    folders = sorted(path.parent for path in arms.FOLDER.glob(f"*/{claims.CLAIM}"))
    told = [claims.read(folder) for folder in folders]
    return [(claim, results.read(claim.folder)) for claim in told if claim is not None]


def stale(write: bool = False) -> list[Path]:
    """The files whose tables are not what the results say; written anew if asked.

    Raises:
        BadInputs: files that have no place for a table; the others are written all the same.
    """
    found = known()
    places = [(claim.folder / README, tables.EVIDENCE, tables.evidence(claim, told)) for claim, told in found]
    places.append((arms.FOLDER / README, tables.EXPERIMENTS, tables.summary(found)))
    places.append((ROOT / README, tables.EXPERIMENTS, tables.summary(found, "experiments/")))
    changed: list[Path] = [_begun(claim) for claim, _ in found if write and not (claim.folder / README).exists()]
    faults: list[BadInput] = []
    for path, name, text in places:
        try:
            changed += [path] if tables.replaced(path, name, text, check=not write) else []
        except BadInput as fault:
            faults.append(fault)
    if faults:
        raise BadInputs(faults)
    return list(dict.fromkeys(changed))


def _begun(claim: Claim) -> Path:
    """The README of an experiment that has none yet."""
    begin, end = (f"<!-- {mark}{tables.EVIDENCE} -->" for mark in ("", "/"))
    told = f"# {claim.name}\n\n{claim.claim}\n\n```sh\n{claim.command}\n```\n\n{begin}\n{end}\n"
    write_text(claim.folder / README, told)
    return claim.folder / README


def kept(arguments: Arguments, sweep: Path) -> None:
    """Condense the sweep of an experiment into ``results.jsonl``: in its own folder, and in the experiment's.

    The experiment's is written in a checkout only, by a sweep that changed nothing of it, once every arm has seeds
    enough for a verdict.
    """
    claim = arms.claim_of(arguments)
    if claim is None:
        return
    from distill.reports.gather import gather

    measured = results.condensed(claim, gather([sweep]).runs)
    results.write(sweep / RESULTS, measured)
    print(f"{claim.paper}: {judged(claim, measured).counted}")
    seeds = {arm: {one.seed for one in measured if one.arm == arm} for arm in claim.arms or (ALONE,)}
    if not (ROOT / ".git").exists() or not arms.as_stated(arguments):
        print(f"{sweep / RESULTS} holds the numbers; the experiment's own are as they were")
    elif min(map(len, seeds.values())) < FEWEST:
        print(f"{sweep / RESULTS} holds the numbers; a verdict wants {FEWEST} seeds of every arm")
    else:
        results.write(claim.folder / RESULTS, measured)
        print(f"{claim.folder / RESULTS} is written; distill report experiments renews the tables")
