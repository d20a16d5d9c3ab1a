"""What a person does with images in a real Chromium: every way in, the result, the table, the file of results."""

from playwright.sync_api import expect

from tests.brain_tumor import images
from tests.gateway.page.person import (
    BROKEN,
    GOOD,
    OTHER,
    choose,
    column,
    details,
    download,
    drop,
    expect_progress,
    names,
)


def test_a_chosen_image_is_classified_and_explained(open_page, serve):
    version = serve(training={"data": "phantom"})
    with open_page() as page:
        choose(page, GOOD)
        expect_progress(page, "1 of 1 image classified.")
        shown = details(page)
        expect(shown.locator(".verdict")).to_contain_text("glioma")
        bars = shown.get_by_role("list", name="Probability of each class").get_by_role("listitem")
        expect(bars).to_have_count(4)
        expect(bars.first).to_contain_text("98")
        widths = bars.locator(".fill").evaluate_all("fills => fills.map(fill => fill.offsetWidth)")
        assert widths[0] > 20 * widths[1]
        expect(shown).to_contain_text(f"brain-tumor, version {version}, float32")
        expect(shown.locator(".small-notice")).to_contain_text("synthetic phantom images")
        expect(page.get_by_role("complementary", name="Research notice")).to_be_in_viewport()
        expect(page.get_by_role("img", name="Where in the image the model saw glioma")).to_be_visible()


def test_the_slider_lays_the_heat_map_over_the_scan(open_page, served):
    with open_page() as page:
        choose(page, GOOD, OTHER)
        expect_progress(page, "2 of 2")
        layers = details(page).locator(".layers img")
        scan, heat = (layers.nth(number).evaluate("image => [image.naturalWidth, image.src]") for number in (0, 1))
        assert scan[0] == heat[0] > 0
        assert scan[1] != heat[1]
        slider = page.get_by_role("slider")
        slider.focus()
        slider.press("Home")
        expect(layers.nth(1)).to_have_css("opacity", "0")
        slider.press("PageUp")
        expect(layers.nth(1)).not_to_have_css("opacity", "0")
        assert slider.get_attribute("aria-valuetext") == f"{slider.input_value()} %"


def test_the_name_of_a_file_stays_in_the_browser(open_page, served):
    with open_page() as page:
        page.evaluate(
            """() => {
                const real = fetch;
                window.fetch = (url, options) => {
                    window.sent = [url, ...[...options.body].map(([field, file]) => `${field}: ${file.name}`)];
                    return real(url, options);
                };
            }"""
        )
        choose(page, {**GOOD, "name": "series-of-someone.png"})
        expect_progress(page, "1 of 1")
        assert page.evaluate("sent") == ["predict?view=true&explain=true", "image: image"]
        assert names(page) == ["series-of-someone.png"]


def test_dropped_files(open_page, served):
    with open_page() as page:
        drop(page, GOOD, OTHER)
        expect_progress(page, "2 of 2 images classified.")
        assert names(page) == ["glioma.png", "meningioma.png"]
        assert column(page, 2) == ["glioma", "meningioma"]


def test_a_folder_without_what_systems_put_there(open_page, served, tmp_path):
    (tmp_path / "series" / "deep").mkdir(parents=True)
    for name in ("a.png", "deep/b.png", ".DS_Store", "Thumbs.db"):
        (tmp_path / "series" / name).write_bytes(images.GLIOMA)
    with open_page() as page:
        page.get_by_label("Choose a folder").set_input_files(tmp_path / "series")
        expect_progress(page, "2 of 2 images classified.")
        assert sorted(names(page)) == ["series/a.png", "series/deep/b.png"]
        expect(page.locator("#intake-message")).to_contain_text("2 files of the system left out")


def test_a_pasted_image(open_page, gateway, served):
    origin = f"http://127.0.0.1:{gateway.port}"
    with open_page() as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
        page.evaluate(
            """bytes => navigator.clipboard.write([new ClipboardItem({
                "image/png": new Blob([Uint8Array.from(bytes)], { type: "image/png" }) })])""",
            list(images.GLIOMA),
        )
        page.keyboard.press("Control+V")
        expect_progress(page, "1 of 1 image classified.")


def test_each_sample_is_one_click_away(open_page, served):
    with open_page() as page:
        for name in ("glioma", "meningioma", "notumor", "pituitary"):
            page.get_by_role("button", name=name, exact=True).click()
            expect(page.locator("#table tbody tr").last).to_contain_text(f"{name}.jpg")
        expect_progress(page, "4 of 4 images classified.")


def test_a_broken_file_says_what_is_wrong_and_hinders_no_other(open_page, served):
    with open_page() as page:
        choose(page, GOOD, BROKEN, {**GOOD, "name": "empty.png", "buffer": b""}, OTHER)
        expect_progress(page, "2 of 4 images classified, 2 failed.")
        page.get_by_role("button", name="broken.dcm").click()
        expect(details(page)).to_contain_text("Not an image")
        expect(details(page)).to_contain_text("Send")  # what to do
        expect(details(page).locator("code")).to_have_text(images_request_id(page))
        page.get_by_role("button", name="empty.png").click()
        expect(details(page)).to_contain_text("The file is empty. Choose the whole file.")


def images_request_id(page) -> str:
    """The request id of the broken file, as the file of results has it."""
    return next(line["request_id"] for line in download(page) if line["file"] == "broken.dcm")


def test_an_image_unlike_the_training_images_carries_a_warning(open_page, serve):
    serve(out_of_distribution_threshold=-7.0)
    with open_page() as page:
        choose(page, {**GOOD, "name": "odd.png"})
        expect(details(page)).to_contain_text("unlike the images that the model was trained on")
        expect(page.locator("#table tbody td").last).to_have_text("unlike training")


def test_a_model_that_cannot_explain_still_classifies(open_page, serve):
    serve(explains=False)
    with open_page() as page:
        choose(page, GOOD)
        expect_progress(page, "1 of 1 image classified.")
        expect(details(page)).to_contain_text("cannot show where in the image")
        expect(page.get_by_role("img", name="The image as the model saw it")).to_be_visible()


def test_the_table_is_sorted_by_any_column_in_both_directions(open_page, served):
    with open_page() as page:
        choose(
            page, *({**GOOD, "name": f"slice-{number}.png"} for number in (10, 9, 100)), {**OTHER, "name": "m"}, BROKEN
        )
        expect_progress(page, "1 failed.")
        assert names(page) == ["slice-10.png", "slice-9.png", "slice-100.png", "m", "broken.dcm"]
        heading = page.get_by_role("columnheader", name="File")
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", "ascending")
        assert names(page) == ["broken.dcm", "m", "slice-9.png", "slice-10.png", "slice-100.png"]
        heading.get_by_role("button").click()
        expect(heading).to_have_attribute("aria-sort", "descending")
        assert names(page) == ["slice-100.png", "slice-10.png", "slice-9.png", "m", "broken.dcm"]
        page.get_by_role("columnheader", name="Class").get_by_role("button").click()
        assert names(page)[-2:] == ["m", "broken.dcm"]  # what failed has no class, and is last
        page.get_by_role("columnheader", name="Note").get_by_role("button").click()
        assert names(page)[0] == "broken.dcm"
        expect(heading).not_to_have_attribute("aria-sort", "descending")


def test_a_click_anywhere_in_a_row_shows_its_details(open_page, served):
    with open_page() as page:
        choose(page, GOOD, OTHER)
        expect_progress(page, "2 of 2 images classified.")
        for row, name in ((2, OTHER["name"]), (1, GOOD["name"])):
            for cell in (1, 3):
                page.locator(f"#table tbody tr:nth-child({row}) td:nth-child({cell})").click()
                expect(details(page)).to_contain_text(str(name))
            page.locator(f"#table tbody tr:nth-child({3 - row}) td:nth-child(2)").click()


def test_the_csv_file_has_every_number_and_no_formula(open_page, served):
    with open_page() as page:
        choose(page, {**GOOD, "name": '=1+1,"x".png'}, {**GOOD, "name": "Schädel.png"}, BROKEN)
        expect_progress(page, "1 failed.")
        formula, plain, broken = download(page)
        assert formula["file"] == '\'=1+1,"x".png'
        assert plain["file"] == "Schädel.png"
        assert plain["class"] == "glioma"
        assert float(plain["probability"]) == float(plain["probability_glioma"]) > 0.9
        assert float(plain["out_of_distribution_score"]) < 0
        assert (plain["model"], plain["state"], plain["error"]) == ("brain-tumor", "done", "")
        assert "For research only" in plain["notice"]
        assert (broken["state"], broken["class"]) == ("failed", "")
        assert "Send" in broken["error"]


def test_clear_forgets_everything(open_page, served):
    with open_page() as page:
        choose(page, GOOD)
        expect_progress(page, "1 of 1")
        page.get_by_role("button", name="Clear").click()
        expect(page.locator("#results")).to_be_hidden()
        expect(page.get_by_label("Choose files")).to_be_focused()
        assert page.evaluate("localStorage.length + sessionStorage.length + document.cookie.length") == 0
        choose(page, OTHER)
        expect_progress(page, "1 of 1")
        assert names(page) == ["meningioma.png"]
