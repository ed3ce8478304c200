"""docs/architecture.md: its picture has every folder, and only arrows that the contract allows."""

from documents import architecture_page as page
from support.helm import ROOT

LAYERS = page.layers(ROOT)
FOLDERS = [folder for layer in LAYERS for folder in layer]


def test_the_contract_has_every_folder_of_the_package() -> None:
    package = ROOT / "generator" / page.PACKAGE
    assert sorted(FOLDERS) == sorted(path.parent.name for path in package.glob("*/__init__.py"))


def test_arrows_point_down() -> None:
    floor = {folder: number for number, layer in enumerate(LAYERS) for folder in layer}
    found = page.arrows(FOLDERS)
    assert ("cli", "base") in found
    assert {arrow for arrow in found if floor[arrow[0]] >= floor[arrow[1]]} == set()


def test_arrows_that_follow_from_others_are_left_out() -> None:
    found = {("a", "b"), ("b", "c"), ("c", "d"), ("a", "c"), ("a", "d"), ("e", "d")}
    assert page.direct(found) == {("a", "b"), ("b", "c"), ("c", "d"), ("e", "d")}


def test_the_page_fits_one_page() -> None:
    assert len(page.architecture_page(ROOT).splitlines()) <= 110
