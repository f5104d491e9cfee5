"""Calls with their legs, segments, flow steps and tags, and the events they derive from."""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("node_id", sa.Text()),
        sa.Column("did", sa.Text()),
        sa.Column("caller", sa.Text()),
        sa.Column("caller_name", sa.Text()),
        sa.Column("language", sa.Text()),
        sa.Column("flow", sa.Text()),
        sa.Column("flow_version", sa.Text()),
        sa.Column("variant", sa.Text()),
        sa.Column("arrived_at", sa.BigInteger(), nullable=False),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("ended_by", sa.Text()),
        sa.Column("end_cause", sa.Text()),
        sa.Column("sip_status", sa.Integer()),
        sa.Column("last_block", sa.Text()),
        sa.Column("goal", sa.Text()),
        sa.Column("disposition", sa.Text()),
        sa.Column("trace_id", sa.Text()),
        sa.Column("closed", sa.SmallInteger(), server_default="0", nullable=False),
        sa.CheckConstraint("ended_by IN ('caller', 'agent', 'flow', 'system', 'network')", name=op.f("calls_ended_by")),
        sa.CheckConstraint(
            "mode IN ('ivr', 'sip_to_rtc', 'rtc_to_sip', 'outbound', 'callback')", name=op.f("calls_mode")
        ),
        sa.PrimaryKeyConstraint("call_id", name=op.f("calls_pkey")),
    )
    op.create_index("calls_arrived", "calls", ["arrived_at"])
    op.create_index("calls_caller", "calls", ["caller", "arrived_at"])
    op.create_index("calls_ended", "calls", ["ended_at"])

    op.create_table(
        "events",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.Text()),
        sa.Column("seq", sa.Integer()),
        sa.Column("leg_id", sa.Text()),
        sa.Column("agent", sa.Text()),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", sa.Text()),
        sa.PrimaryKeyConstraint("event_id", name=op.f("events_pkey")),
        sa.UniqueConstraint("call_id", "seq", name="events_call"),
    )
    op.create_table(
        "flow_steps",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("flow", sa.Text()),
        sa.Column("flow_version", sa.Text()),
        sa.Column("block", sa.Text()),
        sa.Column("step", sa.Integer()),
        sa.Column("verb", sa.Text()),
        sa.Column("line", sa.Integer()),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger()),
        sa.Column("try_no", sa.Integer()),
        sa.Column("input_mode", sa.Text()),
        sa.Column("input", sa.Text()),
        sa.Column("confidence", sa.Float(precision=53)),
        sa.Column("barged_in", sa.SmallInteger()),
        sa.Column("heard_ms", sa.BigInteger()),
        sa.Column("exit", sa.Text()),
        sa.Column("next_block", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name=op.f("flow_steps_call_id_fkey")),
        sa.PrimaryKeyConstraint("call_id", "seq", name=op.f("flow_steps_pkey")),
    )
    op.create_index("steps_block", "flow_steps", ["flow", "block", "from_at"])

    op.create_table(
        "legs",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("leg_id", sa.Text(), nullable=False),
        sa.Column("parent_leg", sa.Text()),
        sa.Column("kind", sa.Text()),
        sa.Column("role", sa.Text()),
        sa.Column("account", sa.Text()),
        sa.Column("remote", sa.Text()),
        sa.Column("sip_call_id", sa.Text()),
        sa.Column("rtc_channel", sa.Text()),
        sa.Column("created_at", sa.BigInteger()),
        sa.Column("ringing_at", sa.BigInteger()),
        sa.Column("early_media_at", sa.BigInteger()),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("ended_at", sa.BigInteger()),
        sa.Column("invitation_state", sa.Text()),
        sa.Column("invitation_error", sa.Text()),
        sa.Column("outcome", sa.Text()),
        sa.Column("sip_status", sa.Integer()),
        sa.Column("q850", sa.Integer()),
        sa.Column("hangup_by", sa.Text()),
        sa.Column("transfer_of", sa.Text()),
        sa.Column("transfer_kind", sa.Text()),
        sa.Column("codec", sa.Text()),
        sa.Column("rx_pkts", sa.BigInteger()),
        sa.Column("tx_pkts", sa.BigInteger()),
        sa.Column("lost_pkts", sa.BigInteger()),
        sa.Column("jitter_ms", sa.Float(precision=53)),
        sa.Column("rtt_ms", sa.Float(precision=53)),
        sa.Column("mos", sa.Float(precision=53)),
        sa.Column("audio_rx_ms", sa.BigInteger()),
        sa.Column("audio_tx_ms", sa.BigInteger()),
        sa.CheckConstraint("kind IN ('sip', 'pstn', 'rtc', 'virtual')", name=op.f("legs_kind")),
        sa.CheckConstraint(
            "role IN ('caller', 'agent', 'consult', 'supervisor', 'callback', 'voicemail')", name=op.f("legs_role")
        ),
        sa.CheckConstraint(
            "transfer_kind IN ('blind', 'attended', 'refer', 'takeover')", name=op.f("legs_transfer_kind")
        ),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name=op.f("legs_call_id_fkey")),
        sa.PrimaryKeyConstraint("call_id", "leg_id", name=op.f("legs_pkey")),
    )
    op.create_table(
        "segments",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger()),
        sa.Column("agent", sa.Text()),
        sa.Column("queue", sa.Text()),
        sa.Column("leg_id", sa.Text()),
        sa.Column("visit_id", sa.BigInteger()),
        sa.CheckConstraint(
            "kind IN ('ring', 'ivr', 'queue', 'offer', 'talk', 'hold', 'consult', 'conference', 'voicemail', 'wrap')",
            name=op.f("segments_kind"),
        ),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name=op.f("segments_call_id_fkey")),
        sa.PrimaryKeyConstraint("call_id", "seq", name=op.f("segments_pkey")),
    )
    op.create_table(
        "tags",
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("value", sa.Text()),
        sa.ForeignKeyConstraint(["call_id"], ["calls.call_id"], name=op.f("tags_call_id_fkey")),
        sa.PrimaryKeyConstraint("call_id", "seq", name=op.f("tags_pkey")),
    )


def downgrade() -> None:
    op.drop_table("tags")
    op.drop_table("segments")
    op.drop_table("legs")
    op.drop_index("steps_block", "flow_steps")

    op.drop_table("flow_steps")
    op.drop_table("events")
    op.drop_index("calls_ended", "calls")
    op.drop_index("calls_caller", "calls")
    op.drop_index("calls_arrived", "calls")

    op.drop_table("calls")
