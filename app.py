"""The browser app: `python app.py`, or `forensic-chat ui`."""

from forensic_chat.ui.server import serve

if __name__ == "__main__":
    serve()
