package main

// boards are all dashboards.
var boards = []board{overview, tenants, assistant, actorsBoard, storeBoard}

// overview is rate, errors and duration of what customers and Meta see.
var overview = board{uid: "chumi-overview", title: "chumi: overview",
	about: "Rate, errors and duration of webhooks, answers and sends, and whether the promises hold.",
	rows: []row{
		{"Now", []panel{
			{title: "Nodes up", unit: number, number: true, queries: total(`sum(up{job="chumi"})`)},
			{title: "Webhooks per second", unit: perSecond, number: true, queries: total(`sum(rate(chumi_webhook_posts_total[$__rate_interval]))`)},
			{title: "Webhooks not made durable", about: "Share of 5xx over an hour. The objective is 0.1 %.", unit: share, number: true, warn: 0.001, alarm: 0.01,
				queries: total(`chumi:ack_errors:ratio_rate1h`)},
			{title: "Acknowledged in (p99)", unit: seconds, number: true, warn: 0.25, alarm: 1, queries: total(`chumi:ack_seconds:p99_5m`)},
			{title: "Customers wait for an answer (p95)", about: "The objective is 30 s.", unit: seconds, number: true, warn: 30, alarm: 60, queries: total(`chumi:reply_seconds:p95_5m`)},
			{title: "Broken promises", about: "What the self-check found in its latest pass. Anything but 0 is a bug or a damaged disk.", unit: number, number: true, alarm: 1,
				queries: total(`sum(chumi_selfcheck_violations)`)},
		}},
		{"Webhooks", []panel{
			{title: "POSTs by answer", unit: perSecond, stacked: true, queries: rateBy("chumi_webhook_posts_total", "code")},
			{title: "Time to a 200", unit: seconds, queries: quantiles("chumi_webhook_ack_seconds")},
			{title: "Updates by outcome", about: "What became of what the POSTs held.", unit: perSecond, stacked: true, queries: rateBy("chumi_inbound_total", "outcome")},
			{title: "POSTs being made durable", unit: number, queries: of("chumi_webhook_in_flight")},
		}},
		{"Answers and sends", []panel{
			{title: "What customers wait for an answer", unit: seconds, queries: quantiles("chumi_reply_seconds")},
			{title: "The engine's share of it", unit: seconds, queries: quantiles("chumi_reply_engine_seconds")},
			{title: "Send attempts by result", unit: perSecond, stacked: true, queries: rateBy("chumi_send_attempts_total", "result")},
			{title: "Graph's time for a send", unit: seconds, queries: quantiles("chumi_send_attempt_seconds")},
			{title: "Graph's errors by code", unit: perSecond, stacked: true, queries: rateBy("chumi_send_errors_total", "code")},
			{title: "What is owed", about: "Of the latest pass of the self-check.", unit: number, stacked: true, queries: by("chumi_owed", "kind")},
		}},
		{"Objectives", []panel{
			{title: "Webhooks answered 5xx", unit: share, queries: []query{{`chumi:ack_errors:ratio_rate5m`, "5 m"}, {`chumi:ack_errors:ratio_rate1h`, "1 h"}, {`chumi:ack_errors:ratio_rate6h`, "6 h"}, {`chumi:ack_errors:ratio_rate3d`, "3 d"}}},
			{title: "Webhooks slower than 250 ms", unit: share, queries: []query{{`chumi:ack_slow:ratio_rate5m`, "5 m"}, {`chumi:ack_slow:ratio_rate1h`, "1 h"}, {`chumi:ack_slow:ratio_rate6h`, "6 h"}, {`chumi:ack_slow:ratio_rate3d`, "3 d"}}},
			{title: "Answers later than 30 s", unit: share, queries: []query{{`chumi:reply_slow:ratio_rate5m`, "5 m"}, {`chumi:reply_slow:ratio_rate1h`, "1 h"}, {`chumi:reply_slow:ratio_rate6h`, "6 h"}, {`chumi:reply_slow:ratio_rate3d`, "3 d"}}},
			{title: "Broken promises", unit: number, queries: []query{{`max by (invariant) (chumi_selfcheck_violations{instance=~"$instance"})`, "{{invariant}}"}}},
		}},
		{"API", []panel{
			{title: "Requests by code", unit: perSecond, stacked: true, queries: rateBy("chumi_api_requests_total", "code")},
			{title: "Duration of requests", unit: seconds, queries: quantiles("chumi_api_request_seconds")},
			{title: "Open event streams", unit: number, queries: of("chumi_api_streams")},
			{title: "Open connections", unit: number, stacked: true, queries: by("chumi_http_connections", "listener")},
		}},
	}}

// tenants is what the businesses have to do with. No series names one: who it is stands
// in feeds and in GET /v1/usage.
var tenants = board{uid: "chumi-tenants", title: "chumi: tenants",
	about: "Channels, people and money of all tenants together. Which tenant it is stands in its feed and in GET /v1/usage.",
	rows: []row{
		{"Now", []panel{
			{title: "Tenants with traffic", unit: number, number: true, queries: total(`sum(chumi_activations{kind="tenant"})`)},
			{title: "Channels that send", unit: number, number: true, queries: total(`sum(chumi_channels{state="sending"})`)},
			{title: "Channels that need a token", unit: number, number: true, alarm: 1, queries: total(`sum(chumi_channels{state="reauth_required"})`)},
			{title: "Channels that Meta restricts", unit: number, number: true, alarm: 1, queries: total(`sum(chumi_channels{state="restricted"})`)},
			{title: "Budgets spent today", unit: number, number: true, warn: 1, queries: total(`sum(increase(chumi_budgets_reached_total{kind="hard"}[1d]))`)},
			{title: "Kept aside today", unit: number, number: true, warn: 1, queries: total(`sum(increase(chumi_quarantined_total[1d]))`)},
		}},
		{"Messages and people", []panel{
			{title: "Updates by kind", unit: perSecond, stacked: true, queries: rateBy("chumi_webhook_updates_total", "kind")},
			{title: "Events by kind", unit: perSecond, queries: rateBy("chumi_events_total", "kind")},
			{title: "Handoffs by reason", unit: perSecond, stacked: true, queries: rateBy("chumi_handoffs_total", "reason")},
			{title: "Files of messages", unit: perSecond, stacked: true, queries: rateBy("chumi_media_fetches_total", "result")},
		}},
		{"Channels", []panel{
			{title: "Channels by state", unit: number, stacked: true, queries: by("chumi_channels", "state")},
			{title: "Until the first token ends", about: "Empty where none ends.", unit: seconds, signed: true, queries: []query{{`min(chumi_channel_token_expiry_timestamp_seconds > 0) - time()`, "first token"}}},
			{title: "Sends that wait", unit: number, queries: []query{{`sum(chumi_sends_waiting{instance=~"$instance"})`, "turn, pace or window"}, {`sum(chumi_portfolio_waiting{instance=~"$instance"})`, "messaging limit"}}},
			{title: "Places in messaging limits", unit: perSecond, stacked: true, queries: rateBy("chumi_portfolio_reservations_total", "result")},
			{title: "Requests to Meta beside sends", unit: perSecond, queries: rateBy("chumi_graph_calls_total", "result")},
			{title: "Kept aside by reason", unit: perSecond, stacked: true, queries: rateBy("chumi_quarantined_total", "reason")},
		}},
		{"Training data", []panel{
			{title: "Exchanges looked at", unit: perSecond, stacked: true, queries: rateBy("chumi_training_rows_total", "state")},
			{title: "Personal data taken out", unit: perSecond, stacked: true, queries: rateBy("chumi_redactions_total", "entity")},
		}},
	}}

// assistant is models, turns, tools and what they cost.
var assistant = board{uid: "chumi-assistant", title: "chumi: assistant and cost",
	about: "Turns of assistants, calls of models and tools, tokens and budgets.",
	rows: []row{
		{"Now", []panel{
			{title: "Turns that fail", unit: share, number: true, warn: 0.02, alarm: 0.1, queries: total(`sum(rate(chumi_turns_total{outcome="failed"}[10m])) / sum(rate(chumi_turns_total[10m]))`)},
			{title: "Calls under way", unit: number, number: true, queries: total(`sum(chumi_model_calls_in_flight)`)},
			{title: "Providers left alone", unit: number, number: true, alarm: 1, queries: total(`sum(chumi_gen_ai_client_breakers_open)`)},
			{title: "Tokens today", unit: number, number: true, queries: total(`sum(increase(chumi_model_tokens_total[1d]))`)},
			{title: "Budgets near their end today", unit: number, number: true, warn: 1, queries: total(`sum(increase(chumi_budgets_reached_total{kind="soft"}[1d]))`)},
			{title: "Budgets spent today", unit: number, number: true, alarm: 1, queries: total(`sum(increase(chumi_budgets_reached_total{kind="hard"}[1d]))`)},
		}},
		{"Turns", []panel{
			{title: "Turns by outcome", unit: perSecond, stacked: true, queries: rateBy("chumi_turns_total", "outcome")},
			{title: "Duration of a call", about: "With retries and failovers.", unit: seconds, queries: quantiles("chumi_model_call_seconds")},
			{title: "Failed calls by reason", unit: perSecond, stacked: true, queries: rateBy("chumi_model_errors_total", "reason")},
			{title: "Calls under way", unit: number, queries: of("chumi_model_calls_in_flight")},
			{title: "Tool calls by outcome", unit: perSecond, stacked: true, queries: rateBy("chumi_tool_calls_total", "outcome")},
			{title: "Answers that a guard held back", unit: perSecond, stacked: true, queries: rateBy("chumi_answers_blocked_total", "reason")},
		}},
		{"Providers", []panel{
			{title: "Requests by outcome", unit: perSecond, stacked: true, queries: rateBy("chumi_gen_ai_client_operations_total", "outcome")},
			{title: "Duration of requests", unit: seconds, queries: quantiles("chumi_gen_ai_client_operation_duration_seconds")},
			{title: "Time to the first piece of an answer", unit: seconds, queries: quantiles("chumi_gen_ai_client_time_to_first_chunk_seconds")},
			{title: "Failovers by reason", unit: perSecond, stacked: true, queries: rateBy("chumi_gen_ai_client_failovers_total", "reason")},
		}},
		{"Cost", []panel{
			{title: "Tokens by kind", about: "Cached ones are part of the input, those of reasoning part of the output.", unit: perSecond, queries: rateBy("chumi_gen_ai_client_token_usage_total", "kind")},
			{title: "Tokens of turns", unit: perSecond, stacked: true, queries: rateBy("chumi_model_tokens_total", "direction")},
			{title: "Budgets reached", about: "Months of tenants whose money reached a bound. Money itself is in GET /v1/usage.", unit: number, queries: []query{{`sum by (kind) (increase(chumi_budgets_reached_total[1d]))`, "{{kind}}"}}},
		}},
	}}

// actorsBoard is use, saturation and errors of the actor system and the process.
var actorsBoard = board{uid: "chumi-actors", title: "chumi: actors",
	about: "Use, saturation and errors of the actors, and of the process they live in.",
	rows: []row{
		{"Actors", []panel{
			{title: "Resident actors", unit: number, stacked: true, queries: by("chumi_activations", "kind")},
			{title: "Conversations that come and go", unit: perSecond, queries: []query{
				{`sum(rate(chumi_activations_started_total{instance=~"$instance"}[$__rate_interval]))`, "started"},
				{`sum(rate(chumi_activations_passivated_total{instance=~"$instance"}[$__rate_interval]))`, "stopped"}}},
			{title: "Reading a cold conversation", unit: seconds, queries: quantiles("chumi_activation_load_seconds")},
			{title: "Mail refused by full mailboxes", unit: perSecond, stacked: true, queries: rateBy("chumi_mail_busy_total", "receiver")},
			{title: "Mail of an old epoch, and to actors that were gone", unit: perSecond, queries: []query{
				{`sum(rate(chumi_mail_fenced_total{instance=~"$instance"}[$__rate_interval]))`, "fenced"},
				{`sum(rate(chumi_dead_letters_total{instance=~"$instance"}[$__rate_interval]))`, "dead letters"}}},
			{title: "Panics and restarts", unit: perSecond, queries: []query{
				{`sum(rate(chumi_panics_total{instance=~"$instance"}[$__rate_interval]))`, "panics"},
				{`sum(rate(chumi_http_panics_total{instance=~"$instance"}[$__rate_interval]))`, "panics of requests"},
				{`sum(rate(chumi_actor_restarts_total{instance=~"$instance"}[$__rate_interval]))`, "restarts"}}},
		}},
		{"What is due", []panel{
			{title: "Due rows fired", unit: perSecond, queries: rateOf("chumi_agenda_ticks_total")},
			{title: "How late they were fired", unit: seconds, queries: quantiles("chumi_agenda_lag_seconds")},
			{title: "Model calls that may begin", about: "Less than 1,000 for each processor while webhooks need them.", unit: perSecond, queries: of("chumi_turns_max_per_second")},
			{title: "Overdue now", unit: number, queries: of("chumi_agenda_overdue")},
			{title: "The oldest of them", unit: seconds, queries: of("chumi_agenda_oldest_overdue_seconds")},
		}},
		{"Self-check", []panel{
			{title: "Rows looked at", unit: perSecond, queries: rateOf("chumi_selfcheck_rows_total")},
			{title: "Age of the latest pass", unit: seconds, queries: []query{{`time() - (chumi_selfcheck_last_pass_timestamp_seconds{instance=~"$instance"} > 0)`, "{{instance}}"}}},
			{title: "Duration of the latest pass", unit: seconds, queries: of("chumi_selfcheck_pass_seconds")},
		}},
		{"The process", []panel{
			{title: "Processors used", unit: number, queries: []query{{`rate(process_cpu_seconds_total{job="chumi",instance=~"$instance"}[$__rate_interval])`, "{{instance}}"}}},
			{title: "Memory", unit: octets, queries: []query{{`process_resident_memory_bytes{job="chumi",instance=~"$instance"}`, "{{instance}}"}, {`go_memstats_heap_inuse_bytes{job="chumi",instance=~"$instance"}`, "{{instance}} heap"}}},
			{title: "Goroutines", unit: number, queries: []query{{`go_goroutines{job="chumi",instance=~"$instance"}`, "{{instance}}"}}},
			{title: "Open files", unit: number, queries: []query{{`process_open_fds{job="chumi",instance=~"$instance"}`, "{{instance}}"}}},
			{title: "Clock against Prometheus", unit: seconds, signed: true, queries: []query{{`chumi_clock_timestamp_seconds{instance=~"$instance"} - timestamp(chumi_clock_timestamp_seconds{instance=~"$instance"})`, "{{instance}}"}}},
			{title: "Requests refused before a handler", unit: perSecond, stacked: true, queries: rateBy("chumi_http_refused_total", "reason")},
			{title: "Versions", unit: number, queries: []query{{`count by (version) (chumi_build_info)`, "{{version}}"}}},
			{title: "Series scraped", unit: number, queries: []query{{`scrape_samples_post_metric_relabeling{job="chumi"}`, "{{instance}}"}}},
		}},
	}}

// storeBoard is the store engine, the replicas and the port between nodes.
var storeBoard = board{uid: "chumi-store", title: "chumi: Pebble and Raft",
	about: "Commits, the store engine, replication and the port between nodes.",
	rows: []row{
		{"Commits", []panel{
			{title: "Commits by answer", unit: perSecond, stacked: true, queries: rateBy("chumi_commits_total", "answer")},
			{title: "Time a caller waits", unit: seconds, queries: quantiles("chumi_append_seconds")},
			{title: "One durable write", unit: seconds, queries: quantiles("chumi_sync_seconds")},
			{title: "One durable write by node (p99)", unit: seconds, queries: []query{{`chumi:sync_seconds:p99_5m`, "{{instance}}"}}},
			{title: "Commits per durable write", unit: number, queries: quantiles("chumi_commit_batch_commits")},
			{title: "Commits that wait to be proposed", unit: number, queries: of("chumi_commits_waiting")},
			{title: "Bytes committed", unit: octetRate, queries: rateOf("chumi_commit_bytes_total")},
		}},
		{"Pebble", []panel{
			{title: "Layers of level 0", about: "Writes stall at 24.", unit: number, queries: of("chumi_pebble_l0_sublevels")},
			{title: "Tables of level 0", unit: number, queries: of("chumi_pebble_l0_files")},
			{title: "Write stalls", unit: share, queries: rateOf("chumi_pebble_write_stall_seconds_total")},
			{title: "Stalls per second", unit: perSecond, queries: rateOf("chumi_pebble_write_stalls_total")},
			{title: "Compaction debt", unit: octets, queries: of("chumi_pebble_compaction_debt_bytes")},
			{title: "Compactions under way", unit: number, queries: of("chumi_pebble_compactions_in_flight")},
			{title: "Read amplification", unit: number, queries: of("chumi_pebble_read_amplification")},
			{title: "Memory of the store", unit: octets, queries: []query{{`chumi_pebble_cache_bytes{instance=~"$instance"}`, "{{instance}} cache"}, {`chumi_pebble_memtable_bytes{instance=~"$instance"}`, "{{instance}} memtables"}}},
		}},
		{"The disk", []panel{
			{title: "Free", unit: octets, queries: of("chumi_disk_free_bytes")},
			{title: "Reserve reached", about: "1 while writes are refused.", unit: number, queries: of("chumi_disk_reserved")},
			{title: "The store's files", unit: octets, queries: of("chumi_pebble_disk_bytes")},
			{title: "Its log", unit: octets, queries: of("chumi_pebble_log_bytes")},
			{title: "Files nobody refers to, deleted", unit: perSecond, queries: rateOf("chumi_media_orphans_total")},
		}},
		{"Raft", []panel{
			{title: "Groups by what the nodes are in them", unit: number, stacked: true, queries: by("chumi_raft_groups", "state")},
			{title: "Groups led by node", unit: number, stacked: true, queries: []query{{`chumi_raft_groups{state="leading",instance=~"$instance"}`, "{{instance}}"}}},
			{title: "The member that lacks most", unit: number, queries: of("chumi_raft_follower_behind_entries")},
			{title: "Members not heard of", unit: number, queries: of("chumi_raft_followers_silent")},
			{title: "Changes of leaders", unit: perSecond, queries: rateOf("chumi_raft_leader_changes_total")},
			{title: "Highest term", unit: number, queries: of("chumi_raft_term")},
			{title: "Entries not applied", unit: number, queries: of("chumi_raft_unapplied_entries")},
			{title: "Longest log", unit: number, queries: of("chumi_raft_log_entries")},
		}},
		{"Between nodes", []panel{
			{title: "Messages", unit: perSecond, queries: []query{{`sum by (kind, direction) (rate(chumi_peer_messages_total{instance=~"$instance"}[$__rate_interval]))`, "{{kind}} {{direction}}"}}},
			{title: "Bytes", unit: octetRate, queries: []query{{`sum by (kind, direction) (rate(chumi_peer_bytes_total{instance=~"$instance"}[$__rate_interval]))`, "{{kind}} {{direction}}"}}},
			{title: "Dropped", unit: perSecond, stacked: true, queries: rateBy("chumi_peer_dropped_total", "reason")},
			{title: "Refused", unit: perSecond, stacked: true, queries: rateBy("chumi_peer_refused_total", "reason")},
			{title: "Attempts to connect", unit: perSecond, stacked: true, queries: rateBy("chumi_peer_connects_total", "result")},
			{title: "Calls", unit: perSecond, queries: []query{{`sum by (direction, result) (rate(chumi_peer_calls_total{instance=~"$instance"}[$__rate_interval]))`, "{{direction}} {{result}}"}}},
			{title: "Requests under way", unit: number, queries: of("chumi_peer_in_flight")},
			{title: "Snapshots", unit: perSecond, queries: []query{{`sum by (direction, result) (rate(chumi_peer_snapshots_total{instance=~"$instance"}[$__rate_interval]))`, "{{direction}} {{result}}"}}},
			{title: "Until the certificate ends", about: "Empty for a node without one.", unit: seconds, signed: true, queries: []query{{`(chumi_peer_certificate_expiry_timestamp_seconds{instance=~"$instance"} > 0) - time()`, "{{instance}}"}}},
			{title: "Certificates taken up", unit: perSecond, queries: rateBy("chumi_peer_certificate_reloads_total", "result")},
		}},
	}}
