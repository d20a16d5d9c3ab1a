"""Many files, and a service that is busy, away or out of reach, in a real Chromium."""

import json
import threading
import time

import grpc
from playwright.sync_api import expect

from tests.gateway.fake_model_server import abort_with, hold_until
from tests.gateway.page.person import BROKEN, GOOD, choose, column, details, expect_progress, many

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
            route.fulfill(status=401, body=json.dumps({"detail": "Send a key."}))

    with open_page() as page:
        page.route(PREDICT, guard)
        choose(page, GOOD)
        page.get_by_label("This service asks for a key").fill("right")
        page.get_by_role("button", name="Use the key").click()
        expect_progress(page, "1 of 1 image classified.")
    assert sent == [None, "Bearer right"]


def test_another_frame_of_a_dicom_file(open_page, served):
    def add_dicom(route):
        url, _, frame = route.request.url.partition("&frame=")
        document, frame = route.fetch(url=url).json(), int(frame or 13)
        window = {"source": "file", "center": 600.0, "width": 1200.0, "function": "LINEAR"}
        document["dicom"] = {"modality": "CT", "frame": frame, "frames": 24, "window": window}
        document["warnings"] = ["The file says that it is CT, not MR."]
        route.fulfill(body=json.dumps(document))

    with open_page() as page:
        page.route(PREDICT, add_dicom)
        choose(page, {**GOOD, "name": "series.dcm"})
        shown = details(page)
        expect(shown).to_contain_text("13 of 24")
        expect(shown).to_contain_text("center 600, width 1200")
        expect(shown.locator(".warning")).to_have_text("The file says that it is CT, not MR.")
        shown.get_by_label("Frame (1 to 24)").fill("24")
        shown.get_by_label("Frame (1 to 24)").press("Enter")
        expect(shown).to_contain_text("24 of 24")
        expect(shown.get_by_role("button", name="Next")).to_be_disabled()
        shown.get_by_role("button", name="Previous").press("Enter")
        expect(shown).to_contain_text("23 of 24")
        expect(page.locator("#table")).to_contain_text("frame 23 of 24")
