"""Making a gateway: keys, tables, the first accounts. What production does on purpose, development does on the way."""

from gateway.actions import accounts
from gateway.context import open_gateway
from gateway.crypto import keys, signing
from gateway.settings import Settings


def initialise(given: Settings, *, steward: str) -> dict[str, str]:
    """Make what does not exist yet, and say what stands where. The two public keys are for partners to pin.

    Raises:
        Invalid: settings are unsafe, or a folder cannot be written.
    """
    keys.make(given.keys_folder)
    gateway = open_gateway(given)
    actor = accounts.found(gateway, steward=steward, name=steward)
    return {
        "home": str(given.home.resolve()),
        "database": gateway.store.engine.url.render_as_string(hide_password=True),
        "accounts": f"{actor.id} (steward), {accounts.OPERATOR}",
        "log key": str(gateway.signer.verifier),
        "release key": signing.fingerprint(gateway.keys.manifest.public_key()),
    }
