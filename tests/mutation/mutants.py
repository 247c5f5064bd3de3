"""Mutation testing by Cosmic Ray: every operator and number of the package is changed, and a test has to notice.

python tests/mutation/mutants.py [MODULE ...]        e.g. simulation fast/kernels; all of MODULES unless said otherwise

Cosmic Ray finds the places and makes the changes. The tests are run by `mutating.Changed`, which is some ten times as
fast as a process for each change: first those of the module, then all others that use it. What survives must stand in
equivalent.toml, with the reason why it changes nothing that anybody could notice; other survivors make this fail.
The results lie in _build/mutants.json, and a second run goes on where the first was stopped.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from difflib import unified_diff
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

from cosmic_ray.commands.init import _all_work_items
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from tqdm import tqdm

TESTS = Path(__file__).parent.parent
sys.path.insert(0, str(TESTS))
from mutating import PACKAGE, Changed  # noqa: E402  # it lies beside this folder

RESULTS = TESTS.parent / "_build" / "mutants.json"
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
WORKERS = 2
SECONDS = 600  # a loop that no longer ends; a survivor takes a minute where the machine is idle

# The tests in stages: only what survives one is shown to the next. To load a test takes longer than to fail it.
GROUND = (
    "test_public.py",
    "test_parameters.py",
    "test_simulation.py",
    "test_losses.py",
    "test_learning_signals.py",
    "test_eligibility.py",
    "test_symmetric.py",
    "test_reference.py",
    "test_nest.py",
)
ALL_GROUND = (*GROUND, "test_gradients.py", "evidence/test_oracles.py", "test_properties.py")
# the compiler is off, so that neither what it keeps nor the memory of its code can be tested
COMPILED = (
    ("fast/test_interface.py", "-k", "authors or several_blocks or cut_graph or lengths"),
    ("fast/test_numbers.py",),
    ("fast/test_arguments.py",),
    ("fast/test_interface.py", "-k", "not memory and not new_process and not 37"),
)
MODULES: dict[str, tuple[tuple[str, ...], ...]] = {
    "_checks": (("test_public.py",), ("test_parameters.py",), ALL_GROUND),
    "parameters": (("test_parameters.py",), ("test_public.py",), ALL_GROUND),
    "simulation": (("test_simulation.py",), ("test_public.py",), ALL_GROUND),
    "learning_signals": (("test_learning_signals.py", "test_losses.py"), ("test_public.py",), ALL_GROUND),
    "eligibility": (("test_eligibility.py",), ("test_public.py",), ALL_GROUND),
    "gradients": (("test_gradients.py",), ("test_public.py",), ALL_GROUND),
    "fast/interface": COMPILED,
    "fast/kernels": COMPILED,
}
# One change for each place, and of a kind that a tired programmer makes. Left out are those that any test notices,
# as + for >>, and those of annotations, which nobody evaluates (| for a union).
OPERATORS = re.compile(
    r"core/(ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|Mod_Mul|Pow_Mul|BitAnd_BitOr)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Is_IsNot|IsNot_Is)"
    r"|ReplaceUnaryOperator_Delete_(USub|Not|Invert)|AddNot|ReplaceTrueWithFalse|ReplaceFalseWithTrue"
    r"|ReplaceAndWithOr|ReplaceOrWithAnd|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer"
    r"|NumberReplacer|RemoveDecorator|ZeroIterationForLoop)"
)


class Mutant(NamedTuple):
    """A change of a module, and how to tell it from the others."""

    module: str
    name: str  # operator and occurrence
    source: str  # of the changed module
    old: str  # the line that differs, or the lines, without the indentation
    new: str

    @property
    def key(self) -> str:
        """What the results are kept under: it does not move with the lines above."""
        return f"{self.module}: {self.old} -> {self.new} ({self.name})"


def mutants(module: str) -> Iterator[Mutant]:
    """Yield all changes of a module."""
    path = PACKAGE / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    for item in _all_work_items([path], {}):
        (spec,) = item.mutations
        if not OPERATORS.fullmatch(spec.operator_name):
            continue
        changed = mutate_code(source, get_operator(spec.operator_name)(), spec.occurrence)
        lines = list(unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0))[2:]
        old, new = (" / ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
        yield Mutant(module, f"{spec.operator_name.removeprefix('core/')} {spec.occurrence}", changed, old, new)


def known() -> dict[tuple[str, str, str], str]:
    """Return the reasons of equivalent.toml, by module, old and new line."""
    with EQUIVALENT.open("rb") as file:
        entries: list[dict[str, Any]] = tomllib.load(file)["mutant"]
    return {(each["module"], each["old"], each["new"]): each["why"] for each in entries}


def main(modules: list[str]) -> int:
    """Test all changes of these modules; return how many survive without a reason."""
    found = [mutant for module in modules for mutant in mutants(module)]
    results: dict[str, str] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    free: SimpleQueue[Changed] = SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        workers = [Changed(Path(folder) / str(number)) for number in range(WORKERS)]
        for worker in workers:
            free.put(worker)
        for stage, module in {stage: each for each in modules for stage in MODULES[each]}.items():
            unchanged = workers[0].run(module, workers[0].source(module), stage)
            if not unchanged.passed:
                raise SystemExit(f"{stage}: these tests must pass without a change\n{unchanged.output}")

        def survives(mutant: Mutant) -> tuple[Mutant, bool]:
            worker = free.get()
            try:
                stages = MODULES[mutant.module]
                return mutant, all(
                    worker.run(mutant.module, mutant.source, stage, seconds=SECONDS).passed for stage in stages
                )
            finally:
                free.put(worker)

        pending = [mutant for mutant in found if mutant.key not in results]
        with ThreadPoolExecutor(WORKERS) as pool:
            done = pool.map(survives, pending)
            for mutant, survived in tqdm(done, total=len(pending), unit="mutant", mininterval=10):
                results[mutant.key] = "survived" if survived else "killed"
                RESULTS.parent.mkdir(exist_ok=True)
                RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False), encoding="utf-8")
        for worker in workers:
            worker.stop()

    reasons = known()
    unknown = []
    for module in modules:
        counts: Counter[str] = Counter()
        for mutant in (each for each in found if each.module == module):
            outcome = results[mutant.key]
            if outcome == "survived" and (module, mutant.old, mutant.new) in reasons:
                outcome = "equivalent"
            elif outcome == "survived":
                unknown.append(mutant)
            counts[outcome] += 1
        print(f"{module}: {sum(counts.values())} mutants, {dict(counts)}")
    for mutant in unknown:
        print(f"\n{mutant.module} ({mutant.name})\n- {mutant.old}\n+ {mutant.new}")
    return len(unknown)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:] or list(MODULES)) else 0)
