"""From rounds to figures: medians, and ratios of neighbours within a round."""

import statistics


class Rounds:
    """What every round of one case has measured."""

    def __init__(self, case):
        self.case = case
        self.cost, self.rate, self.latency, self.system, self.others = [], [], [], [], []

    def add(self, load, seconds, system_share, others):
        """`others` is the share of the core that was not the proxy's."""
        self.cost.append(seconds / load.requests * 1e6)
        self.rate.append(load.requests / load.seconds)
        self.system.append(system_share)
        self.others.append(others)
        if load.latency:
            self.latency.append(load.latency)

    def summary(self):
        percentile = {name: statistics.median(one[name] for one in self.latency) for name in (self.latency[0] if self.latency else {})}
        return {
            "program": self.case.program_name, "scenario": self.case.scenario, "protocol": self.case.protocol, "body": self.case.body,
            "cpu_microseconds": spread(self.cost), "cpu_system_share": round(statistics.median(self.system), 3),
            "requests_per_second": spread(self.rate), "latency_milliseconds": {name: round(value, 3) for name, value in percentile.items()},
            "core_used_by_others": round(statistics.median(self.others), 3),
            "rounds": [round(cost, 3) for cost in self.cost],
        }


def spread(values):
    return {"median": round(statistics.median(values), 3), "minimum": round(min(values), 3), "maximum": round(max(values), 3)}


def ratio(numerator, denominator, added=0.0):
    """Median of the ratios round by round; `added` microseconds go to each denominator."""
    return spread([one / (other + added) for one, other in zip(numerator, denominator, strict=True)])
