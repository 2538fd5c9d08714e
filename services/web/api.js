// The server's interface: OpenAI's chat completions, streamed.

export const describeModel = async () => {
  const answer = await fetch("v1/models");
  if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
  return (await answer.json()).data[0];
};

const failure = async (answer) => {
  const body = await answer.json().catch(() => null);
  return new Error(body?.error?.message ?? `the server answers ${answer.status}`);
};

// Yields the chunks of one answer as they arrive.
export async function* ask(request) {
  const answer = await fetch("v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
  });
  if (!answer.ok) throw await failure(answer);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the answer broke off");
    const events = (waiting + value).split("\n\n");
    waiting = events.pop();
    for (const event of events) {
      const data = event.replace(/^data: /, "");
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      yield chunk;
    }
  }
}
