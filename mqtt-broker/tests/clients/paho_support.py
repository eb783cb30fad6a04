"""What the paho-mqtt scripts share: a client whose callbacks fill queues, and the choice of a scenario on the command line."""

import queue
import socket
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 15  # seconds for anything that must happen
VERSIONS = {"3.1": mqtt.MQTTv31, "3.1.1": mqtt.MQTTv311, "5": mqtt.MQTTv5}

__all__ = ["PATIENCE", "Peer", "PacketTypes", "Properties", "SubscribeOptions", "expect", "main", "properties"]


def expect(got, wanted, what="value"):
    """Ends the script with both values unless they are equal."""
    if got != wanted:
        sys.exit(f"{what}: expected {wanted!r}, got {got!r}")


def properties(packet, **values):
    """The properties of a packet type, by paho's names for them."""
    result = Properties(packet)
    for name, value in values.items():
        setattr(result, name, value)
    return result


class Peer:
    """A client that runs its network loop in a thread and is asked for what it received."""

    def __init__(self, port, version, client_id="", clean=True, will=None, connect_properties=None, first_clean=None):
        self.port = port
        self.v5 = version == "5"
        self.connect_properties = connect_properties
        extra = {} if self.v5 else {"clean_session": clean}
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id, protocol=VERSIONS[version], **extra)
        self.clean_start = clean if first_clean is None else first_clean
        if will is not None:
            self.client.will_set(**will)
        self.messages = queue.Queue()
        self.connects = queue.Queue()
        self.granted = queue.Queue()
        self.released = queue.Queue()
        self.acknowledged = queue.Queue()
        self.ends = queue.Queue()
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_connect = lambda _c, _u, flags, reason, props: self.connects.put((flags, reason, props))
        self.client.on_subscribe = lambda _c, _u, mid, reasons, _p: self.granted.put((mid, [r.value for r in reasons]))
        self.client.on_unsubscribe = lambda _c, _u, mid, reasons, _p: self.released.put((mid, [r.value for r in reasons]))
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self.acknowledged.put((mid, reason.value))
        self.client.on_disconnect = lambda _c, _u, _flags, reason, _p: self.ends.put(reason)

    def connect(self):
        """Connects and gives what CONNACK said: flags and properties. A refusal ends the script."""
        extra = {"clean_start": self.clean_start, "properties": self.connect_properties} if self.v5 else {}
        self.client.connect("127.0.0.1", self.port, 60, **extra)
        self.client.loop_start()
        return self.connected()

    def connected(self):
        """Waits for the next CONNACK."""
        flags, reason, props = self.connects.get(timeout=PATIENCE)
        expect(reason.value, 0, "reason code of CONNACK")
        return flags, props

    def subscribe(self, *filters, **options):
        """Subscribes to (filter, QoS or options) pairs and gives the SUBACK codes."""
        _, mid = self.client.subscribe(list(filters), **options)
        acknowledged, codes = self.granted.get(timeout=PATIENCE)
        expect(acknowledged, mid, "packet id of SUBACK")
        return codes

    def unsubscribe(self, *filters):
        """Unsubscribes and gives the UNSUBACK codes (none before 5.0)."""
        _, mid = self.client.unsubscribe(list(filters))
        acknowledged, codes = self.released.get(timeout=PATIENCE)
        expect(acknowledged, mid, "packet id of UNSUBACK")
        return codes

    def publish(self, topic, payload, qos=0, retain=False, **values):
        """Publishes and waits until the broker has acknowledged it; gives nothing."""
        props = properties(PacketTypes.PUBLISH, **values) if values else None
        sent = self.client.publish(topic, payload, qos, retain, props)
        sent.wait_for_publish(PATIENCE)
        if not sent.is_published():
            sys.exit(f"{topic} {payload!r} at QoS {qos} was not acknowledged")

    def message(self):
        """Waits for the next message."""
        try:
            return self.messages.get(timeout=PATIENCE)
        except queue.Empty:
            sys.exit(f"no message within {PATIENCE} s")

    def text(self):
        """Waits for the next message and gives it as `topic|qos|retain|payload`."""
        got = self.message()
        return f"{got.topic}|{got.qos}|{int(got.retain)}|{got.payload.decode()}"

    def disconnect(self, **values):
        """Says DISCONNECT and waits for the end of the connection."""
        props = {"properties": properties(PacketTypes.DISCONNECT, **values)} if values else {}
        self.client.disconnect(**props)
        self.ends.get(timeout=PATIENCE)
        self.client.loop_stop()

    def crash(self):
        """Ends the connection without a DISCONNECT, and stays away."""
        self.client.loop_stop()
        self.client.socket().shutdown(socket.SHUT_RDWR)
        self.client.socket().close()

    def break_link(self):
        """Breaks the connection under the client, which then connects again by itself."""
        self.client.reconnect_delay_set(1, 1)
        self.client.socket().shutdown(socket.SHUT_RDWR)


def main(scenarios):
    """Runs the scenario that the command line names: PORT NAME [VERSION]."""
    port, name, *arguments = sys.argv[1:]
    scenarios[name](int(port), *arguments)
    print("done", name, *arguments)
