"""What is simulated: a load, the pods of both tiers, and what a request costs them."""

from dataclasses import dataclass, replace

from benchmarks.capacity.manifests import Tier
from benchmarks.capacity.pods import Costs
from benchmarks.capacity.scaling import Delays

_LEAST_MODEL_SERVERS = 20  # in a part of a large service


@dataclass(frozen=True)
class Load:
    """Requests a second: constant, or growing evenly to another rate.

    Attributes:
        rate: At the beginning.
        to: At the end of the growth.
        begins: Seconds until it grows.
        within: Seconds that the growth takes.
    """

    rate: float
    to: float | None = None
    begins: float = 0.0
    within: float = 0.0

    def at(self, moment: float) -> float:
        """Requests a second at this moment."""
        if self.to is None or moment <= self.begins:
            return self.rate
        share = (moment - self.begins) / self.within if self.within else 1.0
        return self.rate + (self.to - self.rate) * min(1.0, share)


@dataclass(frozen=True)
class Scenario:
    """What is simulated.

    Attributes:
        load: The requests.
        gateways: Pods at the beginning.
        model_servers: Pods at the beginning.
        gateway_cores: CPUs that a gateway gets.
        model_cores: CPUs that a model server gets.
        costs: Of a request.
        deadline: Seconds for a response, from the moment its request was received.
        slots: Requests that a gateway works on at a time.
        seconds: How long requests come.
        turns: How many turns through the model servers each gateway goes. In a part of a service it stands for so many
            gateways: the more of them, the less even a model server's calls are.
        warm_up: Seconds at the beginning that are not counted.
        tiers: The gateway and the model server, where HPAs follow the load; they keep their pods otherwise.
        delays: Of these HPAs.
    """

    load: Load
    gateways: int
    model_servers: int
    gateway_cores: float
    model_cores: float
    costs: Costs
    deadline: float
    slots: int
    seconds: float
    warm_up: float = 0.0
    turns: int = 1
    tiers: tuple[Tier, Tier] | None = None
    delays: Delays | None = None

    def slice(self, most_requests: float) -> tuple["Scenario", float]:
        """A part of a large service that is small enough to simulate, and how many such parts the whole has.

        Gateways and model servers are alike among themselves, so requests wait as long in a part with its share of
        both.
        """
        peak = max(self.load.rate, self.load.to or 0.0)
        servers = round(self.model_servers * most_requests / max(most_requests, peak * self.seconds))
        servers = max(min(_LEAST_MODEL_SERVERS, self.model_servers), servers)
        parts = self.model_servers / servers
        load = replace(self.load, rate=self.load.rate / parts, to=self.load.to and self.load.to / parts)
        tiers = self.tiers and tuple(_part(tier, parts) for tier in self.tiers)
        gateways = max(1, round(self.gateways / parts))
        turns = max(1, round(self.gateways / gateways))
        part = replace(self, load=load, gateways=gateways, model_servers=servers, turns=turns, tiers=tiers)
        return part, parts


def _part(tier: Tier, parts: float) -> Tier:
    rules = tier.autoscaling
    least, most = max(1, round(rules.least / parts)), max(1, round(rules.most / parts))
    return replace(tier, autoscaling=replace(rules, least=least, most=most))
