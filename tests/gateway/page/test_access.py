"""Whoever comes: with a keyboard, a screen reader, a phone, in the dark, under a path; and the page of the model."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.gateway.page.person import BROKEN, GOOD, OTHER, choose, details, expect_progress

LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 860}},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True},
}
SHIPPED = {
    "documentation": {"limits": ["It was trained on a phantom."], "intended_use": "Research.", "tripod_ai": {"1": "x"}},
    "metrics": {
        "test": {
            "images": 12,
            "accuracy": 0.9733,
            "sensitivity": {"glioma": 0.9533},
            "intervals": {"accuracy": [0.9633, 0.9833]},
            "confusion_matrix": [[3, 0, 0, 0], [0, 3, 0, 0], [1, 0, 2, 0], [0, 0, 0, 3]],
        },
        "ood_samples_flagged": {"text": 1.0},
    },
    "training": {"data": "phantom", "options": {"model": "small", "side": 128, "seed": 0, "precision": "float32"}},
}


def assert_accessible(page: Page) -> None:
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing(open_page, serve, look):
    serve(out_of_distribution_threshold=-7.0)
    with open_page(**LOOKS[look]) as page:
        assert_accessible(page)
        choose(page, GOOD, {**OTHER, "name": "a-name-that-is-too-long-for-any-column-of-the-table.png"}, BROKEN)
        expect_progress(page, "1 failed.")
        assert_accessible(page)
        page.get_by_role("button", name="broken.dcm").click()
        expect(details(page)).to_contain_text("Not an image")
        assert_accessible(page)


@pytest.mark.parametrize("look", LOOKS)
def test_axe_finds_nothing_on_the_page_of_the_model(open_page, serve, look):
    serve(**SHIPPED)
    with open_page("model", **LOOKS[look]) as page:
        expect(page.get_by_role("heading", name="Limits")).to_be_visible()
        assert_accessible(page)


def test_everything_by_keyboard(open_page, served):
    with open_page() as page:
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.dataset.sample") == "meningioma.jpg":
                break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
        assert outline == "3px"  # the focus is visible
        page.keyboard.press("Enter")
        expect_progress(page, "1 of 1")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect_progress(page, "2 of 2")
        first, second = page.locator("#table .file").all()
        second.focus()
        page.keyboard.press("ArrowUp")
        expect(first).to_be_focused()
        expect(first).to_have_attribute("aria-current", "true")
        expect(details(page).get_by_role("heading")).to_have_text("meningioma.jpg")
        expect(page.get_by_role("status").last).to_contain_text("meningioma.jpg: ")


def test_an_input_that_has_the_focus_shows_it_on_its_label(open_page, served):
    with open_page() as page:
        page.get_by_label("Choose files").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_label("Choose a folder")).to_be_focused()
        expect(page.locator("label[for=choose-folder]")).to_have_css("outline-width", "3px")


def test_a_phone_offers_its_camera_and_goes_to_the_details(open_page, served):
    with open_page(**LOOKS["phone"]) as page:
        photo = page.get_by_label("Take a photo")
        expect(page.locator("label[for=take-photo]")).to_be_visible()
        assert photo.get_attribute("capture") == "environment"
        photo.set_input_files([GOOD])
        expect(page.get_by_role("heading", name="Results")).to_be_in_viewport()
        choose(page, OTHER)
        expect_progress(page, "2 of 2")
        page.get_by_role("button", name="glioma.png", exact=True).tap()
        expect(details(page)).to_be_focused()
        expect(details(page).locator(".verdict")).to_be_in_viewport()
        expect(page.get_by_role("complementary", name="Research notice")).to_be_in_viewport()


def test_a_desk_has_no_camera_button(open_page, served):
    with open_page() as page:
        expect(page.locator("label[for=take-photo]")).to_be_hidden()


def test_the_page_of_the_model(open_page, serve):
    version = serve(**SHIPPED)
    with open_page() as page:
        page.get_by_role("navigation").get_by_role("link", name="Model").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(f"brain-tumor, version {version}")
        expect(page.get_by_role("row", name="Accuracy")).to_contain_text("0.9733 (0.9633 to 0.9833)")
        expect(page.get_by_text("It was trained on a phantom.", exact=True)).to_be_visible()
        page.get_by_text("Show options").click()
        expect(page.get_by_text("float32", exact=True).last).to_be_visible()
        page.get_by_role("navigation").get_by_role("link", name="Classify").click()
        expect(page.get_by_label("Choose files")).to_be_visible()


def test_a_model_that_says_only_what_it_must(open_page, serve):
    serve(class_names=("no", "yes"))
    with open_page("model") as page:
        expect(page.get_by_text("The model says nothing about its limits.")).to_be_visible()
        expect(page.get_by_role("heading", name="How good it is")).to_have_count(0)


def test_the_page_of_a_model_that_is_away(open_page, served):
    with open_page("livez") as page:
        page.route("**/model", lambda route: route.fulfill(status=503) if is_data(route) else route.continue_())
        page.goto(page.url.replace("livez", "model"))
        expect(page.get_by_text("Busy or away")).to_be_visible()
        page.unroute("**/model")
        page.get_by_role("button", name="Try again").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("brain-tumor, version")


def is_data(route) -> bool:
    return route.request.resource_type == "fetch"


def test_everything_works_under_a_path(open_page, served):
    with open_page("livez") as page:
        address = page.url.removesuffix("livez")
        page.route(
            f"{address}**",
            lambda route: (
                route.fulfill(response=route.fetch(url=route.request.url.replace("/scans/", "/")))
                if route.request.url.startswith(f"{address}scans/")
                else route.abort()
            ),
        )
        page.goto(f"{address}scans/")
        page.get_by_role("button", name="glioma", exact=True).click()
        expect_progress(page, "1 of 1 image classified.")
        page.get_by_role("link", name="Model").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("brain-tumor, version")


def test_the_page_of_the_api(open_page, served):
    with open_page("docs") as page:
        page.get_by_text("Classify images").click()
        expect(page.get_by_text("where in the image the model saw the class").first).to_be_visible()
        page.get_by_role("button", name="Try it out").click()
        form = page.locator(".opblock-section-request-body")
        for field in form.locator("input[type=text], td select").all():  # nobody asks for a page by looking
            assert field.input_value() == ""
        form.locator("input[type=file]").set_input_files([GOOD])
        page.get_by_role("button", name="Execute").click()
        expect(page.get_by_text('"class": "glioma"')).to_be_visible()
