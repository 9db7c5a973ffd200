"""A process that sends so many notifications and then waits for its end: `sender.py FOLDER COUNT [deliver]`.

Without the last word no courier of it ever looks: what it commits, somebody else has to deliver.
"""

import logging
import sys

import anyio

from klepaas import deliveries
from klepaas.notifications import Notification, Notifications
from klepaas.store.outbox import Outbox
from klepaas.testing import app_with, client
from klepaas_plugins.notifications import plugin


async def main(folder: str, count: int, *, delivers: bool) -> None:
    """Send, say so, and wait."""
    deliveries.FIRST_LOOK_S = 0.05
    if not delivers:
        setattr(deliveries.Couriers, "wake", lambda _self: None)  # noqa: B010
        deliveries.FIRST_LOOK_S = 3600.0
    async with app_with(plugin, settings={"state_dir": folder}) as app, client(app):
        notifications, outbox = Notifications.of(app.host), Outbox.of(app.host)
        for number in range(count):
            notifications.send(Notification("test", f"number {number}"))
        while not delivers and (await outbox.census()).waiting < count:  # noqa: ASYNC110 -- nobody tells
            await anyio.sleep(0.02)
        print("sent", flush=True)
        await anyio.sleep_forever()


if __name__ == "__main__":
    logging.disable()
    anyio.run(lambda: main(sys.argv[1], int(sys.argv[2]), delivers="deliver" in sys.argv))
