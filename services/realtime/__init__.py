"""Live conversations: WS /v1/realtime, the OpenAI Realtime protocol."""
