// MQTT.js over TCP: one scenario a run. Usage: node mqttjs.cjs PORT SCENARIO VERSION, with 4 (MQTT 3.1.1) or 5 as the version.
'use strict'

const assert = require('node:assert/strict')
const mqtt = require('mqtt')

const PATIENCE_MS = 15_000
const [port, scenario, versionText] = process.argv.slice(2)
const version = Number(versionText)

/** Gives up on `promise` when the patience is over. */
function soon(promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${PATIENCE_MS} ms: ${what}`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** A connected client, with what it received in `client.inbox`. */
async function connect(options = {}) {
  const client = mqtt.connect({ host: '127.0.0.1', port: Number(port), protocolVersion: version, reconnectPeriod: 0, ...options })
  client.inbox = []
  client.on('message', (topic, payload, packet) => {
    client.inbox.push(packet)
    client.emit('inbox')
  })
  const connack = new Promise((resolve, reject) => {
    client.once('connect', resolve)
    client.once('error', reject)
  })
  client.connack = await soon(connack, 'CONNACK')
  return client
}

/** Waits until `count` messages are there, and takes them out of the inbox. */
async function take(client, count) {
  await soon(new Promise((resolve) => {
    const look = () => {
      if (client.inbox.length < count) return
      client.off('inbox', look)
      resolve()
    }
    client.on('inbox', look)
    look()
  }), `${count} messages (${client.inbox.length} came)`)
  return client.inbox.splice(0, count)
}

const show = (packet) => `${packet.topic}|${packet.qos}|${packet.retain ? 1 : 0}|${packet.payload}`

const scenarios = {
  /** Every published QoS at every granted QoS. */
  async qos() {
    const publisher = await connect()
    for (const granted of [0, 1, 2]) {
      const subscriber = await connect()
      const [grant] = await soon(subscriber.subscribeAsync('q/+', { qos: granted }), 'SUBACK')
      assert.equal(grant.qos, granted)
      for (const qos of [0, 1, 2]) await soon(publisher.publishAsync(`q/${qos}`, 'm', { qos }), 'acknowledgement')
      const got = (await take(subscriber, 3)).map(show).sort()
      assert.deepEqual(got, [0, 1, 2].map((qos) => `q/${qos}|${Math.min(qos, granted)}|0|m`))
      await soon(subscriber.endAsync(), 'end')
    }
    await soon(publisher.endAsync(), 'end')
  },

  /** Wildcards, `$` topics, UNSUBSCRIBE. */
  async wildcard() {
    const client = await connect()
    await soon(client.subscribeAsync(['a/+/c', 'b/#', '+/top'], { qos: 1 }), 'SUBACK')
    const topics = ['a/b/c', 'a//c', 'a/b/d', 'b', 'b/1/2/3', '$x/top', 'x/top']
    for (const topic of topics) await soon(client.publishAsync(topic, '', { qos: 1 }), 'PUBACK')
    const got = (await take(client, 5)).map((packet) => packet.topic)
    assert.deepEqual(got.sort(), ['a/b/c', 'a//c', 'b', 'b/1/2/3', 'x/top'].sort())
    await soon(client.unsubscribeAsync('b/#'), 'UNSUBACK')
    await soon(client.publishAsync('b/1', '', { qos: 1 }), 'PUBACK')
    await soon(client.publishAsync('a/end/c', '', { qos: 1 }), 'PUBACK')
    assert.equal((await take(client, 1))[0].topic, 'a/end/c')
    await soon(client.endAsync(), 'end')
  },

  /** Retained: set, got by a wildcard, replaced, cleared. */
  async retained() {
    const publisher = await connect()
    for (const qos of [0, 1, 2]) await soon(publisher.publishAsync(`r/${qos}`, 'old', { qos, retain: true }), 'acknowledgement')
    for (const qos of [0, 1, 2]) await soon(publisher.publishAsync(`r/${qos}`, 'new', { qos, retain: true }), 'acknowledgement')
    const reader = await connect()
    await soon(reader.subscribeAsync('r/#', { qos: 2 }), 'SUBACK')
    assert.deepEqual((await take(reader, 3)).map(show).sort(), [0, 1, 2].map((qos) => `r/${qos}|${qos}|1|new`))
    for (const qos of [0, 1, 2]) await soon(publisher.publishAsync(`r/${qos}`, '', { qos: 1, retain: true }), 'PUBACK')
    const late = await connect()
    await soon(late.subscribeAsync('r/#', { qos: 2 }), 'SUBACK')
    await soon(publisher.publishAsync('r/end', '', { qos: 1 }), 'PUBACK')
    assert.equal(show((await take(late, 1))[0]), 'r/end|1|0|')
    for (const client of [publisher, reader, late]) await soon(client.endAsync(), 'end')
  },

  /** Five hundred publishes at once, at QoS 1 and at QoS 2: MQTT.js sends them without regard to a small Receive Maximum. */
  async burst() {
    const subscriber = await connect()
    await soon(subscriber.subscribeAsync('burst/+', { qos: 2 }), 'SUBACK')
    const publisher = await connect()
    for (const qos of [1, 2]) {
      const sent = Array.from({ length: 500 }, (_, n) => publisher.publishAsync(`burst/${qos}`, String(n), { qos }))
      await soon(Promise.all(sent), `500 acknowledgements at QoS ${qos}`)
      const got = (await take(subscriber, 500)).map((packet) => String(packet.payload))
      assert.deepEqual(got, Array.from({ length: 500 }, (_, n) => String(n)), `QoS ${qos}`)
    }
    assert.ok(publisher.connected && subscriber.connected)
    for (const client of [publisher, subscriber]) await soon(client.endAsync(), 'end')
  },

  /** A kept session collects messages while its client is away. */
  async session() {
    const keep = { clientId: 'keeper', clean: false, ...(version === 5 && { properties: { sessionExpiryInterval: 600 } }) }
    const keeper = await connect(keep)
    assert.equal(keeper.connack.sessionPresent, false)
    await soon(keeper.subscribeAsync('s/#', { qos: 2 }), 'SUBACK')
    await soon(keeper.endAsync(), 'end')
    const publisher = await connect()
    for (const qos of [1, 2]) {
      for (let n = 0; n < 5; n += 1) await soon(publisher.publishAsync(`s/${qos}`, String(n), { qos }), 'acknowledgement')
    }
    const back = await connect(keep)
    assert.equal(back.connack.sessionPresent, true)
    const got = (await take(back, 10)).map((packet) => `${packet.topic}|${packet.payload}`)
    for (const qos of [1, 2]) {
      assert.deepEqual(got.filter((text) => text.startsWith(`s/${qos}`)), [0, 1, 2, 3, 4].map((n) => `s/${qos}|${n}`))
    }
    for (const client of [publisher, back]) await soon(client.endAsync(), 'end')
  },

  /** A broken connection publishes the will. */
  async will() {
    const watcher = await connect()
    await soon(watcher.subscribeAsync('w/#', { qos: 2 }), 'SUBACK')
    for (const qos of [0, 1, 2]) {
      const client = await connect({ will: { topic: `w/${qos}`, payload: Buffer.from('gone'), qos, retain: false } })
      client.stream.destroy()
      assert.equal(show((await take(watcher, 1))[0]), `w/${qos}|${qos}|0|gone`)
    }
    await soon(watcher.endAsync(), 'end')
  },

  /** A payload of 500 kB. */
  async large() {
    const client = await connect()
    await soon(client.subscribeAsync('large', { qos: 1 }), 'SUBACK')
    const payload = Buffer.alloc(500_000, 'abcdefghijklmnopqrstuvwxyz-')
    await soon(client.publishAsync('large', payload, { qos: 1 }), 'PUBACK')
    assert.ok((await take(client, 1))[0].payload.equals(payload))
    await soon(client.endAsync(), 'end')
  },

  /** What 5.0 added: properties, subscription identifiers, automatic topic aliases, options. */
  async properties() {
    const subscriber = await connect()
    const publisher = await connect({ autoAssignTopicAlias: true })
    assert.ok(publisher.connack.properties.topicAliasMaximum > 0)
    await soon(subscriber.subscribeAsync('p/+', { qos: 1, properties: { subscriptionIdentifier: 77 } }), 'SUBACK')
    const properties = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'back',
      correlationData: Buffer.from([0, 255]),
      userProperties: { a: ['1', '2'], b: '3' }
    }
    for (let n = 0; n < 10; n += 1) {
      await soon(publisher.publishAsync('p/x', String(n), { qos: 1, properties: { ...properties } }), 'PUBACK')
      const [packet] = await take(subscriber, 1)
      assert.equal(show(packet), `p/x|1|0|${n}`)
      const { subscriptionIdentifier, ...rest } = packet.properties
      assert.deepEqual([subscriptionIdentifier].flat(), [77])
      assert.deepEqual({ ...rest, userProperties: { ...rest.userProperties } }, properties)
    }
    await soon(subscriber.subscribeAsync('own', { qos: 1, nl: true }), 'SUBACK')
    await soon(subscriber.publishAsync('own', 'mine', { qos: 1 }), 'PUBACK')
    await soon(publisher.publishAsync('own', 'yours', { qos: 1 }), 'PUBACK')
    assert.equal(show((await take(subscriber, 1))[0]), 'own|1|0|yours')
    for (const client of [publisher, subscriber]) await soon(client.endAsync(), 'end')
  },

  /** A client that takes topic aliases and a Receive Maximum of 3 gets everything. */
  async limits() {
    const subscriber = await connect({ properties: { receiveMaximum: 3, topicAliasMaximum: 5, maximumPacketSize: 1000 } })
    await soon(subscriber.subscribeAsync('l/#', { qos: 2 }), 'SUBACK')
    const publisher = await connect()
    for (const qos of [0, 1, 2]) {
      const sent = Array.from({ length: 60 }, (_, n) => publisher.publishAsync(`l/${n % 10}`, String(n), { qos }))
      sent.push(publisher.publishAsync('l/big', Buffer.alloc(2000), { qos }))
      sent.push(publisher.publishAsync('l/0', '60', { qos }))
      await soon(Promise.all(sent), 'acknowledgements')
      const got = (await take(subscriber, 61)).map((packet) => `${packet.topic}|${packet.payload}`)
      assert.deepEqual(got, Array.from({ length: 61 }, (_, n) => `l/${n % 10}|${n}`))
    }
    for (const client of [publisher, subscriber]) await soon(client.endAsync(), 'end')
  }
}

scenarios[scenario]().then(
  () => console.log('done', scenario, version),
  (error) => {
    console.error(error)
    process.exit(1)
  }
)
