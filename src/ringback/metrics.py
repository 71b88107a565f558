"""What is counted and timed for whoever watches Ringback, in the text format of Prometheus.

One ``Metrics`` is made by the composition root and handed to those who know of the events. It counts what this process
does; what stands in the database is asked for when somebody looks (``show_backlog``).

Labels have few values, all known beforehand: no number, no token, no address of a customer.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from ringback import __version__

# A second series for each one, with the time at which the process started: process_start_time_seconds says that.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

STATUSES: Final = ("sent", "delivered", "undelivered", "failed")
SUBMISSION_OUTCOMES: Final = ("accepted", "rejected", "deferred", "expired", "unknown")
RECEIPT_RESULTS: Final = ("taken", "late", "duplicate", "early", "intermediate")
UNKNOWN_ENDS: Final = ("resubmitted", "waiting")
ATTEMPT_OUTCOMES: Final = ("ok", "http_status", "timeout", "dns", "connect", "tls", "broken", "blocked")
INBOUND_RESULTS: Final = ("taken", "duplicate", "refused")
REPLY_RESULTS: Final = ("accepted", "refused", "ignored", "malformed", "repeated")
CONVERSION_RESULTS: Final = ("sent", "failed", "put_off")
CALLBACK_ENDS: Final = ("delivered", "given_up")
SMPP_REQUESTS: Final = ("submit_sm", "data_sm", "query_sm", "other")
OWED_KINDS: Final = ("receipt", "inbound")
OWED_RESULTS: Final = ("taken", "refused", "later")
ALERT_KINDS: Final = (
    "delivery_drop",
    "error_spike",
    "no_receipt_spike",
    "latency_rise",
    "conversion_drop",
    "pumping",
    "volume_drop",
)
LINK_STATES: Final = ("up", "connecting", "down", "stopped")
SURFACES: Final = ("api", "receiver", "inspector", "dashboard", "other")
TRANSACTION_KINDS: Final = ("read", "write")
TRANSACTION_RESULTS: Final = ("ok", "unavailable", "rolled_back", "abandoned")

_ATTEMPT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 8, 15)
_ANSWER_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
"""Up to the 5 s after which the most impatient of the providers give up a callback."""
_LATENESS_BUCKETS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_TRANSACTION_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Counts:
    """A counter with labels. Its parts are looked up once; those ``known`` beforehand are there from the start, so that
    a rate has something to begin from."""

    def __init__(self, counter: Counter, known: Iterable[tuple[str, ...]] = ()) -> None:
        self._counter = counter
        self._parts: dict[tuple[str, ...], Counter] = {labels: counter.labels(*labels) for labels in known}

    def add(self, *labels: str, count: int = 1) -> None:
        """Count ``count`` more under these label values."""
        part = self._parts.get(labels)
        if part is None:
            part = self._parts[labels] = self._counter.labels(*labels)
        part.inc(count)


class Metrics:
    """Everything that one process counts and times."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._backlog = CollectorRegistry()
        self._backlog_is_known = False
        ProcessCollector(registry=self._registry)
        self._make_counters()
        self._make_smpp_counters()
        self._make_timers()
        self._make_gauges()
        self._make_machine()
        self._make_analytics()

    def _make_counters(self) -> None:
        self.accepted = Counter(
            "ringback_messages_accepted_total", "Messages taken in by the API.", registry=self._registry
        )
        self.status_changes = self._counts(
            "ringback_message_status_changes_total", "Messages by the status that they took.", status=STATUSES
        )
        self.submissions = self._counts(
            "ringback_submissions_total", "Submissions by what came of them.", outcome=SUBMISSION_OUTCOMES
        )
        self.unknown_outcomes = self._counts(
            "ringback_unknown_outcomes_total",
            "Submissions of which nobody knows whether the carrier has them, by what was done about it.",
            done=UNKNOWN_ENDS,
        )
        self.rerouted = Counter(
            "ringback_rerouted_total", "Messages that went on to another route.", registry=self._registry
        )
        self.receipts_missing = Counter(
            "ringback_receipts_missing_total",
            "Messages for which no receipt came within the time that their route gives.",
            registry=self._registry,
        )
        self.receipts = self._counts(
            "ringback_receipts_total", "Receipts of carriers: taken, or flagged and why.", result=RECEIPT_RESULTS
        )
        self.inbound = self._counts(
            "ringback_inbound_messages_total", "Inbound messages by what became of them.", result=INBOUND_RESULTS
        )
        self.replies = self._counts(
            "ringback_xml_replies_total", "Elements of XML replies by what became of them.", result=REPLY_RESULTS
        )
        self.attempts = self._counts(
            "ringback_callback_attempts_total", "Attempts at callbacks by how they ended.", outcome=ATTEMPT_OUTCOMES
        )
        self.callbacks_finished = self._counts(
            "ringback_callbacks_finished_total", "Callbacks that need no further attempt.", state=CALLBACK_ENDS
        )
        self.replayed = Counter(
            "ringback_replayed_callbacks_total", "Callbacks that replays have sent once more.", registry=self._registry
        )
        self.received = Counts(
            Counter(
                "ringback_received_requests_total",
                "Requests to the receiver that were stored, by what verified them or why they were refused.",
                ("source", "verdict"),
                registry=self._registry,
            )
        )
        self.conversions_out = self._counts(
            "ringback_conversions_reported_total",
            "Reports of conversions to providers by what came of them.",
            result=CONVERSION_RESULTS,
        )
        self.answers = Counts(
            Counter(
                "ringback_http_answers_total",
                "Answers given over HTTP by class of status.",
                ("surface", "status"),
                registry=self._registry,
            ),
            known=product(("api", "receiver"), ("2xx", "4xx", "5xx")),
        )
        self.transactions = self._counts(
            "ringback_store_transactions_total",
            "Transactions of the database.",
            kind=TRANSACTION_KINDS,
            result=TRANSACTION_RESULTS,
        )

    def _make_smpp_counters(self) -> None:
        self.smpp_binds = Counts(
            Counter(
                "ringback_smpp_server_binds_total",
                "Binds of customers by the status that they were answered.",
                ("status",),
                registry=self._registry,
            ),
            known=[("ESME_ROK",), ("ESME_RINVPASWD",), ("ESME_RBINDFAIL",)],
        )
        self.smpp_requests = Counts(
            Counter(
                "ringback_smpp_server_requests_total",
                "Requests of customers over SMPP by the status that they were answered.",
                ("request", "status"),
                registry=self._registry,
            ),
            known=[(request, "ESME_ROK") for request in SMPP_REQUESTS[:3]],
        )
        self.smpp_owed = self._counts(
            "ringback_smpp_server_told_total",
            "Receipts and inbound messages sent to customers over SMPP by what they answered.",
            kind=OWED_KINDS,
            result=OWED_RESULTS,
        )

    def _make_timers(self) -> None:
        self.attempt_seconds = Histogram(
            "ringback_callback_attempt_seconds",
            "How long an attempt took, answer included.",
            buckets=_ATTEMPT_BUCKETS,
            registry=self._registry,
        )
        self.lateness_seconds = Histogram(
            "ringback_callback_lateness_seconds",
            "How long after its planned time an attempt started.",
            buckets=_LATENESS_BUCKETS,
            registry=self._registry,
        )
        answers = Histogram(
            "ringback_http_answer_seconds",
            "How long it took until an answer over HTTP began.",
            ("surface",),
            buckets=_ANSWER_BUCKETS,
            registry=self._registry,
        )
        self.answer_seconds = {surface: answers.labels(surface) for surface in SURFACES}
        transactions = Histogram(
            "ringback_store_transaction_seconds",
            "How long a transaction took, waiting for its turn included.",
            ("kind",),
            buckets=_TRANSACTION_BUCKETS,
            registry=self._registry,
        )
        self.transaction_seconds = {kind: transactions.labels(kind) for kind in TRANSACTION_KINDS}

    def _make_gauges(self) -> None:
        self.smpp_connections = Gauge(
            "ringback_smpp_server_connections", "Connections of customers over SMPP.", registry=self._registry
        )
        self._smpp_owed_waiting = Gauge(
            "ringback_smpp_server_owed",
            "Receipts and inbound messages that customers have not acknowledged over SMPP; counted up to 100000.",
            registry=self._backlog,
        )
        self.attempts_in_flight = Gauge(
            "ringback_attempts_in_flight", "Attempts at callbacks that run now.", registry=self._registry
        )
        self._callbacks_waiting = Gauge(
            "ringback_callbacks_waiting",
            "Callbacks neither delivered nor given up; counted up to 100000.",
            registry=self._backlog,
        )
        self._submissions_waiting = Gauge(
            "ringback_submissions_waiting",
            "Messages still to be handed to a carrier; counted up to 100000.",
            registry=self._backlog,
        )
        self._endpoints = Gauge(
            "ringback_endpoints",
            "Endpoints by the state of their circuit; each counted up to 100000.",
            ("state",),
            registry=self._backlog,
        )
        self._given_up = Gauge(
            "ringback_callbacks_given_up_last_hour",
            "Callbacks that became owed within the last hour and were given up; counted up to 100000.",
            registry=self._backlog,
        )
        self._conversions_waiting = Gauge(
            "ringback_conversions_waiting",
            "Conversions that are not reported to their provider yet; counted up to 100000.",
            registry=self._backlog,
        )
        self._replays = Gauge(
            "ringback_replays_running", "Replays that have not ended; counted up to 100000.", registry=self._backlog
        )
        self._alerts_firing = Gauge(
            "ringback_alerts_firing", "Delivery alerts that are open.", ("kind",), registry=self._backlog
        )
        self._carrier_links = Gauge(
            "ringback_carrier_links",
            "Links to carriers by their state, each once for each process that holds one.",
            ("state",),
            registry=self._backlog,
        )
        self._oldest_due = Gauge(
            "ringback_oldest_due_callback_age_seconds",
            "For how long the callback has been due that waits longest at an endpoint which is not parked.",
            registry=self._backlog,
        )

    def _make_machine(self) -> None:
        build = Gauge("ringback_build_info", "1, with what this process is.", ("version",), registry=self._registry)
        build.labels(__version__).set(1)
        self._disk_free = Gauge(
            "ringback_disk_free_bytes", "Room left where data are kept.", ("holds",), registry=self._registry
        )
        self._disk_least = Gauge(
            "ringback_disk_least_free_bytes",
            "With less room than this, a process is not ready.",
            registry=self._registry,
        )

    def show_disks(self, free_bytes: Mapping[str, int], *, least_bytes: int) -> None:
        """Take how much room there is, by what is kept there."""
        # What cannot be measured any more is not shown: old figures would look like new ones.
        self._disk_free.clear()
        for holds, free in free_bytes.items():
            self._disk_free.labels(holds).set(free)
        self._disk_least.set(least_bytes)

    def _make_analytics(self) -> None:
        self._analytics_events = Counter(
            "ringback_analytics_events_total", "Events taken into the analytics file.", registry=self._registry
        )
        self._analytics_seconds = Histogram(
            "ringback_analytics_batch_seconds",
            "How long it took to take in a batch of events.",
            buckets=_TRANSACTION_BUCKETS,
            registry=self._registry,
        )
        self._analytics_lag = Gauge(
            "ringback_analytics_watermark_lag_seconds",
            "How old the newest state is that the analytics have wholly taken in.",
            registry=self._registry,
        )
        self._analytics_open = Gauge(
            "ringback_analytics_open_messages", "Messages of which more is expected.", registry=self._registry
        )
        self._analytics_bytes = Gauge(
            "ringback_analytics_file_bytes",
            "Size of the analytics file, its log, and the days that are sealed.",
            registry=self._registry,
        )

    def analytics_took(self, events: int, seconds: float) -> None:
        """Count a batch of events taken into the analytics file."""
        self._analytics_events.inc(events)
        self._analytics_seconds.observe(seconds)

    def analytics_lag(self, seconds: Callable[[], float]) -> None:
        """Say what tells how far the analytics are behind; it is asked whenever somebody looks."""
        self._analytics_lag.set_function(seconds)

    def analytics_size(self, *, open_messages: int, file_bytes: int) -> None:
        """Say how large the analytics file is."""
        self._analytics_open.set(open_messages)
        self._analytics_bytes.set(file_bytes)

    def _counts(self, name: str, meaning: str, **labels: tuple[str, ...]) -> Counts:
        return Counts(Counter(name, meaning, tuple(labels), registry=self._registry), known=product(*labels.values()))

    def show_backlog(
        self,
        *,
        callbacks: int,
        submissions: int,
        given_up: int,
        endpoints: Mapping[str, int],
        replays: int,
        smpp_owed: int,
        oldest_due_s: float,
        conversions: int,
        links: Mapping[str, int],
        alerts: Mapping[str, int],
    ) -> None:
        """Take what the database says now."""
        self._callbacks_waiting.set(callbacks)
        self._submissions_waiting.set(submissions)
        self._given_up.set(given_up)
        for state, total in endpoints.items():
            self._endpoints.labels(state).set(total)
        for state, total in links.items():
            self._carrier_links.labels(state).set(total)
        self._replays.set(replays)
        self._conversions_waiting.set(conversions)
        self._smpp_owed_waiting.set(smpp_owed)
        self._oldest_due.set(oldest_due_s)
        for kind in ALERT_KINDS:
            self._alerts_firing.labels(kind).set(alerts.get(kind, 0))
        self._backlog_is_known = True

    def hide_backlog(self) -> None:
        """Say nothing about the database while it does not answer: old figures would look like new ones."""
        self._backlog_is_known = False

    def render(self) -> bytes:
        """Write everything in the text format, of the content type ``CONTENT_TYPE``."""
        return generate_latest(self._registry) + (generate_latest(self._backlog) if self._backlog_is_known else b"")
