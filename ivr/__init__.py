"""What a call does: flows, speech, records. Knows no SIP, no RTP and no SDP; sees ``gateway.call`` only."""
