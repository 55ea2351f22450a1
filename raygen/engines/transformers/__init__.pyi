from .new_tokens import make_room as make_room
