// One live connection: opened when it is needed; every event it brings goes to one place.

import { Refusal, describeModel, openSocket } from "./api.js";

const FULL_BYTES = 2 ** 18;
const STATUS_OF = { overloaded_error: 503, rate_limit_error: 429, authentication_error: 401, permission_error: 403 };

// A refusal during the handshake tells a page nothing; the same question over HTTP tells why.
const whyRefused = async (error, reason) => {
  const retry_s = Number(reason.match(/^retry-after: (\d+)$/)?.[1]) || null;
  if (error) return new Refusal(error, { status: STATUS_OF[error.type] ?? 500, retry_s });
  return describeModel().then(
    () => new Refusal({ message: "the server accepts no conversation now" }, { status: 503 }),
    (refusal) => refusal,
  );
};

export class Link {
  // hooks: event(event), lost(), store() is whether the server may keep a recording
  constructor(hooks) {
    this.hooks = hooks;
    this.socket = this.opened = null;
    this.sent = 0;
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  // Resolves to the session once the server has made one; rejects with a Refusal.
  open() {
    this.opened ??= this.connect().catch((refusal) => {
      this.opened = null;
      throw refusal;
    });
    return this.opened;
  }

  connect() {
    return new Promise((resolve, reject) => {
      const socket = this.socket = openSocket(this.hooks.store());
      let session = null, refused = null;
      socket.onmessage = ({ data }) => {
        const event = JSON.parse(data);
        if (event.type === "session.created") resolve(session = event.session);
        else if (session) this.hooks.event(event);
        else if (event.type === "error") refused = event.error;
      };
      socket.onclose = ({ reason }) => {
        if (!session) return whyRefused(refused, reason).then(reject);
        if (socket !== this.socket) return undefined;
        this.opened = null;
        return this.hooks.lost();
      };
    });
  }

  // Returns the event's id, which the server names if it refuses the event.
  send(event) {
    const event_id = `page_${this.sent += 1}`;
    if (this.isOpen) this.socket.send(JSON.stringify({ event_id, ...event }));
    return event_id;
  }

  async room() {
    while (this.isOpen && this.socket.bufferedAmount > FULL_BYTES) {
      await new Promise((resolve) => { setTimeout(resolve, 20); });
    }
  }

  close() {
    const socket = this.socket;
    this.socket = this.opened = null;
    socket?.close();
  }
}
