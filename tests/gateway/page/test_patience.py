"""Many files, and a service that is busy, away or out of reach, in a real Chromium."""

import json
import threading
import time

import grpc
from playwright.sync_api import expect

from tests.brain_tumor import images
from tests.gateway.fake_model_server import abort_with, hold_until
from tests.gateway.page.person import (
    BROKEN,
    GOOD,
    choose,
    column,
    details,
    dicom_file,
    download,
    expect_progress,
    many,
)

PREDICT = "**/predict?*"


def test_fifty_files_are_sent_four_at_a_time(open_page, served):
    under_way, most = set(), 0

    def sent(request):
        nonlocal most
        if "predict?" in request.url:
            under_way.add(request)
            most = max(most, len(under_way))

    with open_page() as page:
        page.on("request", sent)
        page.on("requestfinished", lambda request: under_way.discard(request))
        choose(page, *many(49), BROKEN)
        expect_progress(page, "49 of 50 images classified, 1 failed.")
        assert most == 4
        assert column(page, 2).count("glioma") == 49


def test_a_busy_service_is_left_alone_for_as_long_as_it_says(open_page, served):
    moments = []

    def refuse_first(route):
        moments.append(time.monotonic())
        if len(moments) > 1:
            route.continue_()
            return
        document = {"title": "Service Unavailable", "detail": "The service is busy. Try again shortly."}
        route.fulfill(status=503, headers={"Retry-After": "2"}, body=json.dumps(document))

    with open_page() as page:
        page.route(PREDICT, refuse_first)
        choose(page, GOOD)
        expect_progress(page, "Busy or away: going on in 2 seconds.")
        expect(page.get_by_role("status").last).to_contain_text("going on in 2 seconds")
        expect_progress(page, "1 of 1 image classified.")
    assert moments[1] - moments[0] >= 1.9


def test_a_model_that_goes_away_and_comes_back_loses_no_file(open_page, served):
    served.fault = abort_with(grpc.StatusCode.UNAVAILABLE)
    with open_page() as page:
        choose(page, *many(6))
        expect_progress(page, "going on in")
        served.fault = None
        expect_progress(page, "6 of 6 images classified.")


def test_a_lost_network_is_waited_for(open_page, served):
    with open_page() as page:
        expect(page.locator("#service")).to_contain_text("brain-tumor-gateway")
        page.context.set_offline(True)
        choose(page, *many(3))
        expect_progress(page, "No connection")
        page.context.set_offline(False)
        expect_progress(page, "3 of 3 images classified.")


def test_cancel_and_try_again(open_page, served):
    release = threading.Event()
    served.fault = hold_until(release)
    try:
        with open_page() as page:
            choose(page, *many(9))
            expect_progress(page, "4 under way")
            page.get_by_role("button", name="Cancel").click()
            expect_progress(page, "0 of 9 images classified, 9 cancelled.")
            served.fault = None
            release.set()
            page.get_by_role("button", name="Retry what failed").click()
            expect_progress(page, "9 of 9 images classified.")
    finally:
        release.set()


def test_one_file_is_tried_again(open_page, served):
    with open_page() as page:
        page.route(PREDICT, lambda route: route.fulfill(status=502, body="<html>a proxy</html>"))
        choose(page, GOOD)
        expect_progress(page, "1 failed.")
        expect(details(page)).to_contain_text("A fault of the service")
        page.unroute(PREDICT)
        details(page).get_by_role("button", name="Try again").click()
        expect_progress(page, "1 of 1 image classified.")


def test_a_service_with_keys_asks_for_one(open_page, served):
    sent = []

    def guard(route):
        sent.append(route.request.headers.get("authorization"))
        if sent[-1] == "Bearer right":
            route.continue_()
        else:
            route.fulfill(
                status=401, headers={"WWW-Authenticate": "Bearer"}, body=json.dumps({"detail": "Send a key."})
            )

    with open_page() as page:
        page.route(PREDICT, guard)
        choose(page, GOOD)
        key, refused = page.get_by_label("This service asks for a key"), page.get_by_text("does not take the key")
        expect(refused).to_be_hidden()
        key.fill("wrong")
        page.get_by_role("button", name="Use the key").click()
        expect(refused).to_be_visible()
        key.fill("right")
        page.get_by_role("button", name="Use the key").click()
        expect_progress(page, "1 of 1 image classified.")
    assert sent == [None, "Bearer wrong", "Bearer right"]


def test_a_login_that_ended_is_no_question_for_a_key(open_page, served):
    with open_page() as page:
        page.route(PREDICT, lambda route: route.fulfill(status=401, body="{}"))  # as oauth2-proxy does
        choose(page, GOOD)
        expect(details(page)).to_contain_text("Your login has ended.")
        expect(page.get_by_label("This service asks for a key")).to_be_hidden()
        page.unroute(PREDICT)
        details(page).get_by_role("button", name="Try again").click()
        expect_progress(page, "1 of 1 image classified.")


def test_another_frame_of_a_dicom_file(open_page, served):
    with open_page() as page:
        choose(page, {"name": "series.dcm", "mimeType": "application/dicom", "buffer": dicom_file(8)})
        shown = details(page)
        expect(shown).to_contain_text("5 of 8", timeout=20_000)  # the one in the middle
        expect(shown).to_contain_text("center 600, width 1200")
        expect(shown.locator(".warning")).to_contain_text("modality is CT, not MR")
        middle = grey(page)
        shown.get_by_label("Frame (1 to 8)").fill("8")
        shown.get_by_label("Frame (1 to 8)").press("Enter")
        expect(shown).to_contain_text("8 of 8")
        assert grey(page) > middle + 40
        expect(shown.get_by_role("button", name="Next")).to_be_disabled()
        shown.get_by_role("button", name="Previous").press("Enter")
        expect(shown).to_contain_text("7 of 8")
        expect(shown.get_by_role("button", name="Previous")).to_be_focused()  # as before it was disabled
        expect(page.locator("#table")).to_contain_text("frame 7 of 8")
        (line,) = download(page)
        assert (line["modality"], line["frame_or_page"], line["frames_or_pages"]) == ("CT", "7", "8")


def test_another_page_of_a_tiff(open_page, served):
    with open_page() as page:
        choose(page, {"name": "stack.tif", "mimeType": "image/tiff", "buffer": images.stack(40, 160)})
        shown = details(page)
        expect(shown).to_contain_text("1 of 2", timeout=20_000)
        assert grey(page) == 40
        shown.get_by_role("button", name="Next").click()
        expect(shown).to_contain_text("2 of 2")
        assert grey(page) == 160
        expect(page.locator("#table")).to_contain_text("page 2 of 2")


def grey(page) -> int:
    """The first pixel of the scan that is shown."""
    return page.get_by_role("img", name="The image as the model saw it").evaluate(
        """async (image) => {
            await image.decode();
            const context = new OffscreenCanvas(1, 1).getContext("2d");
            context.drawImage(image, 0, 0);
            return context.getImageData(0, 0, 1, 1).data[0];
        }"""
    )


def test_a_file_that_is_too_large_says_so_and_hinders_no_other(open_page, served, tmp_path):
    (tmp_path / "large.png").write_bytes(GOOD["buffer"] + bytes(30 << 20))  # the gateway takes 20 MiB
    (tmp_path / "small.png").write_bytes(GOOD["buffer"])
    with open_page() as page:
        page.get_by_label("Choose files").set_input_files([tmp_path / "large.png", tmp_path / "small.png"])
        expect_progress(page, "1 of 2 images classified, 1 failed.")
        expect(details(page)).to_contain_text("Too large")
