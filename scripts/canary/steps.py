"""The steps: each changes the cluster by kustomize, waits, and leaves it as it was when that fails.

The overlay says all but the model server's container image: that one stays what the cluster has, until a promotion.
"""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime

from scripts.canary import state
from scripts.canary.bounds import Bounds
from scripts.canary.errors import CanaryError, RefusedError
from scripts.canary.kubectl import NAME, Kubectl, Object
from scripts.canary.overlay import (
    CANARY,
    GATEWAY,
    OBJECTS,
    SHARES_FILE,
    STABLE,
    Overlay,
    Shares,
    Trial,
    images_entry,
    model_container,
)
from scripts.canary.report import Report, report
from scripts.canary.samples import read, since
from scripts.canary.state import State

_CONFIG_MAP = "canary"
_USUAL = Shares(share=10, shadow=50)
_MODELS = "/models"  # where a model lies in the container image


class Steps:
    """What a person does with a canary on one cluster."""

    def __init__(self, overlay: Overlay, kubectl: Kubectl) -> None:
        self._overlay = overlay
        self._kubectl = kubectl

    def begin(self, image: str, share: float | None, shadow: float | None) -> None:
        """Start a canary with this container image, or give the one that runs these shares, in percent.

        Without a share the one that runs keeps its own, and a new one gets the usual one.

        Raises:
            CanaryError: It cannot be started, and what was there before goes on alone.
        """
        running = self._kubectl.get("deployment", CANARY)
        if running:
            runs = _image(running)
            if image and image != runs:
                raise CanaryError(f"a canary with {runs} is on trial: make promote or make rollback ends it")
            self._known()
            shares = _changed(self._shares(), share, shadow)
            if not self._is_told():  # its start was cut off, or make deploy has taken it from the gateways
                self._start(Trial(runs, shares))
                return
            self._give(shares)
            print(f"The canary {runs} now has {_said(shares)}. Gateways know it within about a minute.")
            return
        if not image:
            raise CanaryError("IMAGE names the container image of the next model: make canary IMAGE=name:tag")
        self._start(Trial(image, _changed(_USUAL, share, shadow)))

    def report(self) -> Report:
        """Print what the gateways have counted since the canary began, and return it.

        Raises:
            CanaryError: There is no canary, or a gateway's metrics cannot be read.
        """
        canary, known = self._canary(), state.load(self._kubectl)
        found = report(since(known.counted, read(self._kubectl)))
        print(f"The canary {_image(canary)} beside {self._stable_image()}, since {known.began or 'its start'}:")
        print(found.table())
        return found

    def promote(self, bounds: Bounds) -> None:
        """Give the model server the canary's container image, and end the canary.

        Raises:
            RefusedError: The canary does not keep the bounds.
            CanaryError: The model server does not become ready with it: it has its own again, and the canary goes on.
        """
        after = _image(self._canary())
        known = self._known()
        if broken := bounds.broken(self.report()):
            lines = "".join(f"\n  {line}" for line in broken)
            raise RefusedError(f"The canary {after} is not promoted, and stays as it is:{lines}")
        before = self._stable_image()
        if before == after == known.promoted:  # a promotion that was cut off
            before = known.before
        trial = Trial(after, self._shares())
        print(f"The model server gets {after} in place of {before}.")
        state.save(self._kubectl, replace(known, promoted=after, before=before))
        try:
            self._kubectl.apply(self._overlay.manifests(after, trial))
            self._kubectl.rolled_out(STABLE)
        except BaseException:
            print(f"It did not work: the model server gets {before} again.", flush=True)
            goes_on = self._kubectl.get("deployment", CANARY)  # somebody else may have ended it meanwhile
            self._kubectl.apply(self._overlay.manifests(before, trial if goes_on else None))
            state.save(self._kubectl, known if goes_on else known.without_canary())
            raise
        self._end(after)
        print(f"All requests are answered by {after} now. make rollback brings {before} back.")
        self._advise(after)

    def roll_back(self) -> None:
        """End the canary; without one, give the model server the container image from before the last promotion.

        Raises:
            CanaryError: There is neither, or the model server does not become ready.
        """
        known = self._known()
        if canary := self._kubectl.get("deployment", CANARY):
            stable = self._stable_image()
            if stable == known.promoted == _image(canary):  # a promotion that was cut off
                stable = known.before
            self._end(stable)
            self._kubectl.rolled_out(STABLE)
            print(f"The canary {_image(canary)} has ended, and {self._stable_image()} answers all requests.")
            return
        now = self._stable_image()
        if not known.before:
            raise CanaryError("there is nothing to roll back: no canary, and no promotion by make promote")
        if known.promoted != now:
            raise CanaryError(
                f"the model server has {now}, and make promote had put {known.promoted} in place of {known.before}: "
                "name what you want in the overlay, and make deploy"
            )
        if self._overlay.model_server_image() == now:
            raise CanaryError(
                f"the overlay {self._overlay.name} has {now}, so the next make deploy would bring it back: "
                f"name {known.before} there, and make deploy"
            )
        print(f"The model server gets {known.before} again.")
        try:
            self._kubectl.apply(self._overlay.manifests(known.before))
            self._kubectl.rolled_out(STABLE)
        except BaseException:
            print(f"It did not work: the model server gets {now} again.", flush=True)
            self._kubectl.apply(self._overlay.manifests(now))
            raise
        state.save(self._kubectl, State())
        print(f"All requests are answered by {known.before} again.")
        self._advise(known.before)

    def _start(self, trial: Trial) -> None:
        stable = self._kubectl.get("deployment", STABLE)
        if not stable or not self._kubectl.get("deployment", GATEWAY):
            raise CanaryError(f"the namespace {self._kubectl.namespace} has not both tiers: first make deploy")
        mounts = model_container(stable).get("volumeMounts", [])
        if any(mount["mountPath"].startswith(_MODELS) for mount in mounts):
            raise CanaryError(
                "the model server reads its model from a volume, so another container image has the same model: "
                "docs/canary.md says how to try one from elsewhere"
            )
        known = self._known()
        now = _image(stable)
        manifests = self._overlay.manifests(now, trial)
        began = datetime.now(UTC).isoformat(timespec="seconds")
        counted = read(self._kubectl)
        state.save(self._kubectl, replace(known, overlay=self._overlay.name, began=began, counted=counted))
        print(f"The canary {trial.image} starts, beside {now}.")
        try:
            self._kubectl.apply(manifests, only=CANARY)
            self._kubectl.rolled_out(CANARY)
        except BaseException:
            self._remove()
            print("The canary is removed. No gateway knew of it.", flush=True)
            raise
        try:
            self._kubectl.apply(manifests)
            self._nudge()
            self._kubectl.rolled_out(GATEWAY)
        except BaseException:
            print("The canary is removed, and the gateways become what they were.", flush=True)
            self._end(now)
            raise
        print(f"The canary {trial.image} has {_said(trial.shares)}.")
        print("  make canary-report        shows how it does")
        print("  make canary SHARE=25      changes the shares, SHADOW=0 too")
        print("  make promote              lets it answer all requests, if it keeps the bounds")
        print("  make rollback             ends it")
        print("Until then make deploy would take it from the gateways; docs/canary.md has an overlay that keeps it.")

    def _end(self, stable_image: str) -> None:
        """Take its requests from the canary, then the canary from the gateways, and remove it."""
        if self._kubectl.get("configmap", _CONFIG_MAP):
            self._give(Shares())
        self._kubectl.apply(self._overlay.manifests(stable_image))
        self._kubectl.rolled_out(GATEWAY)
        self._remove()

    def _remove(self) -> None:
        """Remove the objects of the canary, and what is known of it."""
        self._kubectl.delete(*OBJECTS)
        state.save(self._kubectl, state.load(self._kubectl).without_canary())

    def _give(self, shares: Shares) -> None:
        patch = json.dumps({"data": {SHARES_FILE: shares.file()}})
        self._kubectl("patch", "configmap", _CONFIG_MAP, "--type", "merge", "--patch", patch)
        self._nudge()

    def _is_told(self) -> bool:
        """Whether the gateways have the file of shares, and so know of the canary."""
        gateway = self._kubectl.get("deployment", GATEWAY)
        volumes = gateway["spec"]["template"]["spec"].get("volumes", []) if gateway else []
        return any(volume["name"] == _CONFIG_MAP for volume in volumes)

    def _nudge(self) -> None:
        """Let the nodes give the gateways the changed file at once: they look after a pod that has changed."""
        moment = datetime.now(UTC).isoformat(timespec="seconds")
        options = ("--selector", f"{NAME}={GATEWAY}", "--overwrite", f"brain-tumor/shares={moment}")
        with contextlib.suppress(CanaryError):  # not everyone may; without it the file comes within about a minute
            self._kubectl("annotate", "pods", *options)

    def _shares(self) -> Shares:
        """The shares that the canary has."""
        found = self._kubectl.get("configmap", _CONFIG_MAP)
        return Shares.read(found["data"][SHARES_FILE]) if found else Shares()

    def _stable_image(self) -> str:
        found = self._kubectl.get("deployment", STABLE)
        if not found:
            raise CanaryError(f"the namespace {self._kubectl.namespace} has no model server: first make deploy")
        return _image(found)

    def _canary(self) -> Object:
        found = self._kubectl.get("deployment", CANARY)
        if not found:
            raise CanaryError("there is no canary: make canary IMAGE=name:tag begins one")
        return found

    def _known(self) -> State:
        known = state.load(self._kubectl)
        if known.overlay and known.overlay != self._overlay.name:
            raise CanaryError(
                f"the last canary was one of OVERLAY={known.overlay}: name it here, too, or, if that overlay is gone, "
                f"forget it: kubectl delete configmap canary-state --namespace {self._kubectl.namespace}"
            )
        return known

    def _advise(self, image: str) -> None:
        if self._overlay.model_server_image() != image:
            print(f"So that the next make deploy keeps it, the overlay {self._overlay.name} needs this entry:")
            print(images_entry(self._overlay.model_server_image(), image))


def _image(deployment: Object) -> str:
    return str(model_container(deployment)["image"])


def _changed(shares: Shares, share: float | None, shadow: float | None) -> Shares:
    return Shares(shares.share if share is None else share, shares.shadow if shadow is None else shadow)


def _said(shares: Shares) -> str:
    return f"{shares.share:g} % of the requests, and {shares.shadow:g} % of the others for comparison"
