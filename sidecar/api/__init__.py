"""The REST interface: it translates HTTP into what the core and its drivers do, and back."""
