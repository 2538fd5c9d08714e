// The way to the server: addresses, the key if one is needed, and refusals that a person can read.

const KEY = "moss-key";

// A key lives as long as the tab and goes nowhere but to this server.
export const storedKey = () => sessionStorage.getItem(KEY);
export const keepKey = (key) => (key ? sessionStorage.setItem(KEY, key) : sessionStorage.removeItem(KEY));

export class Refusal extends Error {
  constructor(error, { status = 0, retry_s = null } = {}) {
    super(error?.message ?? `the server answers ${status}`);
    Object.assign(this, { code: error?.code ?? null, status, retry_s });
  }

  get needsKey() {
    return this.status === 401;
  }

  // Waiting helps: the server is full, restarts, or cannot be reached for a moment.
  get passes() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export const describeModel = async () => {
  const key = storedKey();
  const headers = key ? { authorization: `Bearer ${key}` } : {};
  const answer = await fetch("v1/models", { headers }).catch(() => {
    throw new Refusal({ message: "the server cannot be reached" });
  });
  const body = await answer.json().catch(() => null);
  if (answer.ok) return body.data[0];
  const retry_s = Number(answer.headers.get("retry-after")) || null;
  throw new Refusal(body?.error, { status: answer.status, retry_s });
};

// `store`: whether the server may keep a recording, if it makes any.
export const openSocket = (store) => {
  const key = storedKey();
  const url = new URL("v1/realtime", location.href);
  url.searchParams.set("store", String(store));
  url.protocol = url.protocol.replace("http", "ws");
  return new WebSocket(url, ["realtime", ...(key ? [`openai-insecure-api-key.${key}`] : [])]);
};
