from moss_speech.settings import switch_off_telemetry

switch_off_telemetry()
