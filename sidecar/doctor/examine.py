"""All checks, in the order in which they are told."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from sidecar.doctor.addresses import examine_addresses
from sidecar.doctor.bots import examine_bot, named_bots
from sidecar.doctor.certificates import file_finding
from sidecar.doctor.directory import examine_directory
from sidecar.doctor.finding import Finding
from sidecar.doctor.freeswitch import examine_freeswitch
from sidecar.doctor.machine import examine_machine
from sidecar.doctor.ports import examine_ports
from sidecar.doctor.rest import access_finding, find_running, running_finding
from sidecar.doctor.traces import examine_traces
from sidecar.doctor.webhooks import examine_webhook
from sidecar.settings import Settings


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what others are asked is asked at once, and has an end."""
    running = await asyncio.to_thread(find_running, settings.api)
    bots, of_profiles = named_bots(settings)
    async with asyncio.TaskGroup() as tasks:
        of_bots = [tasks.create_task(examine_bot(bot, settings)) for bot in bots]
        of_servers = [tasks.create_task(examine_freeswitch(name, settings)) for name in settings.freeswitch]
        of_webhooks = [tasks.create_task(examine_webhook(name, settings)) for name in settings.webhooks]
        of_directory = tasks.create_task(examine_directory(settings))
        of_traces = tasks.create_task(examine_traces(settings))
    return [
        running_finding(running),
        *examine_ports(settings, running=running is not None),
        *examine_addresses(settings),
        *_certificates(settings),
        access_finding(settings.api),
        *of_profiles,
        *(task.result() for task in of_bots),
        *(finding for task in of_servers for finding in task.result()),
        *(task.result() for task in of_webhooks),
        *of_directory.result(),
        *of_traces.result(),
        *examine_machine(settings),
    ]


def _certificates(settings: Settings) -> list[Finding]:
    files = {"sip.tls_certificate": settings.sip.tls_certificate, "api.tls_certificate": settings.api.tls_certificate}
    return [file_finding(name, path, now=datetime.now(UTC)) for name, path in files.items() if path is not None]
