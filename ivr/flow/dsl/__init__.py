"""The second spelling of flows: ``*.flow``. Read into the same nodes as YAML, so that everything after is one code.

The grammar knows lines, items and braces; verbs, settings and exits are words the registry explains. A verb that
is added there is spoken here without an edit.
"""
