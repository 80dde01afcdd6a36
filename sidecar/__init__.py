"""A SIP endpoint that streams calls to voice bots over WebSocket, and plays back what they return."""

__version__ = "0.1.0"
