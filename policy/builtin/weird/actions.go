package weird

// Action says what becomes of a weird.
type Action uint8

// Actions, by Zeek's names. A notice is also a row.
const (
	ActionLog Action = iota // the default
	ActionIgnore
	ActionLogOnce
	ActionLogPerConn
	ActionLogPerOrig
	ActionNotice
	ActionNoticeOnce
	ActionNoticePerConn
	ActionNoticePerOrig
)

// notices reports whether the action makes a notice.
func (a Action) notices() bool { return a >= ActionNotice }

// limits reports whether the action lets a weird pass once only.
func (a Action) limits() bool { return a >= ActionLogOnce && a != ActionNotice }

// perOrig, perConn and once report what a limiting action is limited by.
func (a Action) perOrig() bool { return a == ActionLogPerOrig || a == ActionNoticePerOrig }
func (a Action) once() bool    { return a == ActionLogOnce || a == ActionNoticeOnce }

// actions returns what Zeek 9.0's default scripts do by name
// (base/frameworks/notice/weird.zeek). Names that are not listed are logged each
// time, as are those in actLog.
func actions() map[string]Action {
	m := make(map[string]Action, 256)
	for a, names := range map[Action][]string{
		ActionIgnore: actIgnore, ActionLogPerOrig: actPerOrig, ActionLogPerConn: actPerConn, ActionNoticePerOrig: actNoticePerOrig, ActionLog: actLog,
	} {
		for _, n := range names {
			m[n] = a
		}
	}
	return m
}

// actIgnore are too common to be of use.
var actIgnore = []string{
	"FIN_after_reset", "spontaneous_FIN", "spontaneous_RST", "unsolicited_SYN_response",
}

// actPerOrig are logged once a day for each originator.
var actPerOrig = []string{
	"bad_ICMP_checksum", "bad_IP_checksum", "bad_RPC", "bad_TCP_checksum", "bad_UDP_checksum",
	"connection_originator_SYN_ack", "DNS_label_forward_compress_offset", "DNS_label_len_gt_name_len",
	"DNS_label_len_gt_pkt", "DNS_label_too_long", "excess_RPC", "excessively_small_fragment", "fragment_inconsistency",
	"fragment_overlap", "fragment_size_inconsistency", "originator_RPC_reply", "partial_RPC", "responder_RPC_call",
	"SSH_max_packet_length_exceeded", "SSH_max_string_length_exceeded", "SYN_with_data", "UDP_datagram_length_mismatch",
}

// actPerConn are logged once for each connection.
var actPerConn = []string{
	"FTP_arg_too_long", "FTP_max_command_length_exceeded", "FTP_password_too_long", "FTP_reply_msg_too_long",
	"FTP_too_many_pending_commands", "FTP_user_too_long", "simultaneous_open",
	"smb_tree_connect_andx_response_without_tree", "smtp_excessive_invalid_mail_transactions",
	"smtp_mail_transaction_invalid",
}

// actNoticePerOrig are noticed once a day for each originator.
var actNoticePerOrig = []string{
	"FIN_storm", "successful_RPC_reply_to_invalid_request", "SYN_after_partial",
}

// actLog are logged each time, the rule about repeats aside.
var actLog = []string{
	"above_hole_data_without_any_acks", "active_connection_reuse", "bad_HTTP_reply", "bad_HTTP_version",
	"bad_ident_port", "bad_ident_reply", "bad_ident_request", "bad_rlogin_prolog", "bad_RPC_program", "bad_rsh_prolog",
	"bad_SYN_ack", "bad_TCP_header_len", "baroque_SYN", "base64_illegal_encoding", "contentline_size_exceeded",
	"crud_trailing_HTTP_request", "data_after_reset", "data_before_established", "deficit_netbios_hdr_len",
	"DNS_AAAA_neg_length", "DNS_Conn_count_too_large", "DNS_NAME_too_long", "DNS_RR_bad_length",
	"DNS_RR_length_mismatch", "DNS_RR_unknown_type", "DNS_truncated_ans_too_short", "DNS_truncated_len_lt_hdr_len",
	"DNS_truncated_quest_too_short", "DNS_truncated_RR_rdlength_lt_len", "double_%_in_URI", "excess_netbios_hdr_len",
	"excessive_data_without_further_acks", "excessively_large_fragment", "FIN_advanced_last_seq",
	"fragment_protocol_inconsistency", "fragment_with_DF", "HTTP_bad_chunk_size",
	"HTTP_chunked_transfer_for_multipart_message", "HTTP_excessive_pipelining", "HTTP_overlapping_messages",
	"HTTP_response_before_request", "HTTP_version_mismatch", "ident_request_addendum", "illegal_%_at_end_of_URI",
	"inappropriate_FIN", "incompletely_captured_fragment", "inflate_failed", "internally_truncated_header",
	"invalid_irc_global_users_reply", "irc_invalid_command", "irc_invalid_dcc_message_format",
	"irc_invalid_invite_message_format", "irc_invalid_join_line", "irc_invalid_kick_message_format", "irc_invalid_line",
	"irc_invalid_mode_message_format", "irc_invalid_names_line", "irc_invalid_njoin_line",
	"irc_invalid_notice_message_format", "irc_invalid_oper_message_format", "irc_invalid_privmsg_message_format",
	"irc_invalid_reply_number", "irc_invalid_squery_message_format", "irc_invalid_topic_reply", "irc_invalid_who_line",
	"irc_invalid_who_message_format", "irc_invalid_whois_channel_line", "irc_invalid_whois_message_format",
	"irc_invalid_whois_operator_line", "irc_invalid_whois_user_line", "irc_line_size_exceeded", "irc_line_too_short",
	"irc_too_many_invalid", "line_terminated_with_single_CR", "line_terminated_with_single_LF",
	"malformed_ssh_identification", "malformed_ssh_version", "multiple_HTTP_request_elements",
	"netbios_client_session_reply", "netbios_raw_session_msg", "netbios_server_session_request",
	"no_smb_session_using_parsesambamsg", "NUL_in_line", "partial_finger_request", "partial_ftp_request",
	"partial_ident_request", "pending_data_when_closed", "pop3_bad_base64_encoding", "pop3_client_command_unknown",
	"pop3_client_sending_server_commands", "pop3_malformed_auth_plain", "pop3_server_command_unknown",
	"pop3_server_sending_client_commands", "possible_split_routing", "premature_connection_reuse",
	"repeated_SYN_reply_wo_ack", "repeated_SYN_with_ack", "rlogin_text_after_rejected", "RPC_pending_calls_discarded",
	"RPC_rexmit_inconsistency", "RPC_underflow", "rsh_text_after_rejected", "RST_storm", "RST_with_data",
	"smb_andx_command_failed_to_parse", "SMB_discarded_dce_rpc_analyzers", "SMB_discarded_messages_state",
	"SMB_parsing_error", "SSL_many_server_names", "SYN_after_close", "SYN_after_reset", "SYN_inside_connection",
	"SYN_seq_jump", "TCP_christmas", "TCP_scale_range", "transaction_subcmd_missing", "truncated_ARP",
	"truncated_header", "truncated_IP", "truncated_NTP", "unescaped_%_in_URI", "unescaped_special_URI_char",
	"unexpected_client_HTTP_data", "unexpected_multiple_HTTP_requests", "unexpected_server_HTTP_data",
	"unknown_HTTP_method", "unknown_netbios_type", "unmatched_HTTP_reply", "unpaired_RPC_response", "window_recision",
}

// repeated are logged each time even if the last one is not ten minutes old.
var repeated = []string{"bad_ICMP_checksum", "bad_IP_checksum", "bad_TCP_checksum", "bad_UDP_checksum"}
