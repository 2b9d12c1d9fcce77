-- What the program of revision 0001 left in its database: three people, seven requests and how each ended, payments,
-- a refund, an adjustment, a refused request, and one reply that was being written when the program was killed.

INSERT INTO wallets
    (id, posted, held, version, overdraft)
VALUES
    ('old-02', 195, 3, 5, 0),
    ('old-06', 123, 0, 5, 0),
    ('old-10', 1, 0, 2, 0);

INSERT INTO users
    (id, username, email, username_key, email_key, password_hash, role, wallet_id, created_at, disabled_at)
VALUES
    ('old-01', 'alice', 'alice@example.org', 'alice', 'alice@example.org', 'plain$00f2b76a1dc1447c$ce4d0ca49d4b65a4cfe3a23b0a6133af67ac6e0c4e285ab8af7265f4b001c4ef', 'admin', 'old-02', '2026-01-01T00:00:00.000000Z', NULL),
    ('old-05', 'bob', 'bob@example.org', 'bob', 'bob@example.org', 'plain$da225c2325b43f34$c5ea1c1df561dacd233d5a2e1bdece3ba45a6df27e5ca684a96815c45a1c783c', 'user', 'old-06', '2026-01-01T00:01:00.000000Z', NULL),
    ('old-09', 'Zoë', 'Zoë@example.org', 'zoë', 'zoë@example.org', 'plain$2fd11129260ffc7c$56110d078545c92e67b6998f2b98f7fb6ff92091239f90ca4f127c31a8098cdf', 'user', 'old-10', '2026-01-01T00:02:00.000000Z', NULL);

INSERT INTO sessions
    (id, user_id, created_at, expires_at, ended_at, ended_because)
VALUES
    ('old-04', 'old-01', '2026-01-01T00:00:00.000000Z', '2026-01-02T00:00:00.000000Z', NULL, NULL),
    ('old-08', 'old-05', '2026-01-01T00:01:00.000000Z', '2026-01-02T00:01:00.000000Z', '2026-01-02T00:02:48.500000Z', 'signed_out'),
    ('old-12', 'old-09', '2026-01-01T00:02:00.000000Z', '2026-01-02T00:02:00.000000Z', NULL, NULL);

INSERT INTO refresh_tokens
    (digest, session_id, issued_at, spent_at)
VALUES
    ('47cd831ecd9b5b66f656d27d96b8d89346387ac9f9c8a2ba6d570249c5ef0fb6', 'old-04', '2026-01-01T00:00:00.000000Z', NULL),
    ('d0384b7e4992afa0cbae6231016deb99101196bbac80ae348afb7a1e381f808e', 'old-12', '2026-01-01T00:02:00.000000Z', NULL),
    ('e11fe832a2c7e772b051572666e63e6803f7552997b43bdad2a1ddcb453ec647', 'old-08', '2026-01-01T00:01:00.000000Z', NULL);

INSERT INTO conversations
    (id, user_id, title, created_at, updated_at, deleted_at)
VALUES
    ('old-14', 'old-01', 'What''s the capital of France?', '2026-01-01T00:02:07.250000Z', '2026-01-01T00:02:21.750000Z', NULL),
    ('old-24', 'old-01', 'Deleted', '2026-01-01T00:02:29.000000Z', '2026-01-01T00:02:29.000000Z', '2026-01-01T00:02:29.000000Z'),
    ('old-32', 'old-05', '[[pause:0.05]] stop me some time after these many words', '2026-01-01T00:02:34.000000Z', '2026-01-01T00:02:34.000000Z', NULL),
    ('old-36', 'old-05', '日本語 and naïve words', '2026-01-01T00:02:41.250000Z', '2026-01-01T00:02:41.250000Z', NULL),
    ('old-45', 'old-01', '[[sleep:600]] never answered', '2026-01-02T00:03:18.500000Z', '2026-01-02T00:03:18.500000Z', NULL);

INSERT INTO holds
    (id, wallet_id, amount, created_at, expires_at, state, captured, refunded, settled_at)
VALUES
    ('old-15', 'old-02', 1, '2026-01-01T00:02:07.250000Z', '2026-01-01T00:13:07.250000Z', 'captured', 1, 0, '2026-01-01T00:02:07.250000Z'),
    ('old-18', 'old-02', 3, '2026-01-01T00:02:14.500000Z', '2026-01-01T00:13:14.500000Z', 'captured', 3, 0, '2026-01-01T00:02:14.500000Z'),
    ('old-21', 'old-02', 1, '2026-01-01T00:02:21.750000Z', '2026-01-01T00:13:21.750000Z', 'released', 0, 0, '2026-01-01T00:02:21.750000Z'),
    ('old-25', 'old-02', 1, '2026-01-01T00:02:29.000000Z', '2026-01-01T00:13:29.000000Z', 'captured', 1, 0, '2026-01-01T00:02:29.000000Z'),
    ('old-33', 'old-06', 1, '2026-01-01T00:02:34.000000Z', '2026-01-01T00:13:34.000000Z', 'captured', 1, 0, '2026-01-01T00:02:34.000000Z'),
    ('old-37', 'old-06', 3, '2026-01-01T00:02:41.250000Z', '2026-01-01T00:13:41.250000Z', 'captured', 3, 2, '2026-01-01T00:02:41.250000Z'),
    ('old-46', 'old-02', 3, '2026-01-02T00:03:18.500000Z', '2026-01-02T00:14:18.500000Z', 'pending', 0, 0, NULL);

INSERT INTO interactions
    (id, conversation_id, user_id, wallet_id, hold_id, model, price_per_reply, price_per_1k_prompt_tokens, price_per_1k_completion_tokens, held, created_at, outcome, prompt_tokens, completion_tokens, credits_charged, balance_after, processing_time_ms, finished_at, error_code, error_detail, prompt, reply)
VALUES
    ('old-13', 'old-14', 'old-01', 'old-02', 'old-15', 'demo-mini', 1, 0, 0, 1, '2026-01-01T00:02:07.250000Z', 'completed', 5, 5, 1, 99, 0, '2026-01-01T00:02:07.250000Z', NULL, NULL, 'What''s the capital of France?', 'What''s the capital of France?'),
    ('old-17', 'old-14', 'old-01', 'old-02', 'old-18', 'demo-pro', 3, 0, 0, 3, '2026-01-01T00:02:14.500000Z', 'completed', 18, 8, 3, 96, 0, '2026-01-01T00:02:14.500000Z', NULL, NULL, 'Which river — "la Seine"? 🌊
And	tabs.', 'Which river — "la Seine"? 🌊 And tabs.'),
    ('old-20', 'old-14', 'old-01', 'old-02', 'old-21', 'demo-mini', 1, 0, 0, 1, '2026-01-01T00:02:21.750000Z', 'failed', 29, 2, 0, 96, 0, '2026-01-01T00:02:21.750000Z', 'generation_failed', 'The model could not finish this reply; nothing was charged. Try again.', '[[fail:after:2]] break please', 'break please'),
    ('old-23', 'old-24', 'old-01', 'old-02', 'old-25', 'demo-mini', 1, 0, 0, 1, '2026-01-01T00:02:29.000000Z', 'completed', 2, 2, 1, 95, 0, '2026-01-01T00:02:29.000000Z', NULL, NULL, '', ''),
    ('old-31', 'old-32', 'old-05', 'old-06', 'old-33', 'demo-mini', 1, 0, 0, 1, '2026-01-01T00:02:34.000000Z', 'stopped', 9, 2, 1, 124, 0, '2026-01-01T00:02:34.000000Z', NULL, NULL, '[[pause:0.05]] stop me some time after these many words', 'stop me'),
    ('old-35', 'old-36', 'old-05', 'old-06', 'old-37', 'demo-pro', 3, 0, 0, 3, '2026-01-01T00:02:41.250000Z', 'completed', 4, 3, 3, 121, 0, '2026-01-01T00:02:41.250000Z', NULL, NULL, '日本語 and naïve words', '日本語 and naïve'),
    ('old-44', 'old-45', 'old-01', 'old-02', 'old-46', 'demo-pro', 3, 0, 0, 3, '2026-01-02T00:03:18.500000Z', 'running', 0, 0, 0, NULL, NULL, NULL, NULL, NULL, '[[sleep:600]] never answered', '');

INSERT INTO payments
    (id, user_id, wallet_id, package, credits, price_hundredths, currency, provider, created_at, status, confirmed_at, balance_after)
VALUES
    ('old-27', 'old-01', 'old-02', 'small', 100, 100, 'EUR', 'sandbox', '2026-01-01T00:02:34.000000Z', 'confirmed', '2026-01-01T00:02:34.000000Z', 195),
    ('old-29', 'old-05', 'old-06', 'custom', 25, 25, 'EUR', 'sandbox', '2026-01-01T00:02:34.000000Z', 'confirmed', '2026-01-01T00:02:34.000000Z', 125);

INSERT INTO ledger_entries
    (wallet_id, wallet_version, id, kind, debit, credit, amount, balance_after, description, created_at, hold_id, interaction_id, payment_id, author)
VALUES
    ('old-02', 1, 'old-03', 'grant', 'house:promotions', 'wallet:old-02', 100, 100, 'Welcome credits', '2026-01-01T00:00:00.000000Z', NULL, NULL, NULL, NULL),
    ('old-02', 2, 'old-16', 'charge', 'wallet:old-02', 'house:revenue', 1, 99, 'Reply by demo-mini', '2026-01-01T00:02:07.250000Z', 'old-15', 'old-13', NULL, NULL),
    ('old-02', 3, 'old-19', 'charge', 'wallet:old-02', 'house:revenue', 3, 96, 'Reply by demo-pro', '2026-01-01T00:02:14.500000Z', 'old-18', 'old-17', NULL, NULL),
    ('old-02', 4, 'old-26', 'charge', 'wallet:old-02', 'house:revenue', 1, 95, 'Reply by demo-mini', '2026-01-01T00:02:29.000000Z', 'old-25', 'old-23', NULL, NULL),
    ('old-02', 5, 'old-28', 'top_up', 'house:payments', 'wallet:old-02', 100, 195, 'Top-up, small', '2026-01-01T00:02:34.000000Z', NULL, NULL, 'old-27', NULL),
    ('old-06', 1, 'old-07', 'grant', 'house:promotions', 'wallet:old-06', 100, 100, 'Welcome credits', '2026-01-01T00:01:00.000000Z', NULL, NULL, NULL, NULL),
    ('old-06', 2, 'old-30', 'top_up', 'house:payments', 'wallet:old-06', 25, 125, 'Top-up, custom', '2026-01-01T00:02:34.000000Z', NULL, NULL, 'old-29', NULL),
    ('old-06', 3, 'old-34', 'charge', 'wallet:old-06', 'house:revenue', 1, 124, 'Reply by demo-mini', '2026-01-01T00:02:34.000000Z', 'old-33', 'old-31', NULL, NULL),
    ('old-06', 4, 'old-38', 'charge', 'wallet:old-06', 'house:revenue', 3, 121, 'Reply by demo-pro', '2026-01-01T00:02:41.250000Z', 'old-37', 'old-35', NULL, NULL),
    ('old-06', 5, 'old-39', 'refund', 'house:revenue', 'wallet:old-06', 2, 123, 'the reply was cut off', '2026-01-02T00:02:41.250000Z', 'old-37', 'old-35', NULL, 'old-01'),
    ('old-10', 1, 'old-11', 'grant', 'house:promotions', 'wallet:old-10', 100, 100, 'Welcome credits', '2026-01-01T00:02:00.000000Z', NULL, NULL, NULL, NULL),
    ('old-10', 2, 'old-40', 'adjustment', 'wallet:old-10', 'house:adjustments', 99, 1, 'it''s a correction', '2026-01-02T00:02:41.250000Z', NULL, NULL, NULL, 'old-01');

INSERT INTO idempotency_keys
    (user_id, key, fingerprint, created_at, subject_id, refusal_required, refusal_available)
VALUES
    ('old-01', 'first-question', 'd5d3424a6c43b6f36346a45eaa5f13965e9e003a43b0e86872417eb11d1def2a', '2026-01-01T00:02:07.250000Z', 'old-13', NULL, NULL),
    ('old-01', 'one-purchase', 'f6382214af9072135f33d9f1d8a4a6fca7a0420671dcd7874e022a9046a82ab9', '2026-01-01T00:02:34.000000Z', 'old-27', NULL, NULL),
    ('old-01', 'unfinished', 'e7cd0057801d3ca214fcd7e6d3d8e159b46f3fb630eea42c7b145a55b3414e23', '2026-01-02T00:03:18.500000Z', 'old-44', NULL, NULL),
    ('old-05', 'stopped', '624f8b942c9549b8aaaeab0a93718252cc5f2ce5cdbd544bea8abd5c8c9687ae', '2026-01-01T00:02:34.000000Z', 'old-31', NULL, NULL),
    ('old-09', 'refused', '68dad3c3ec864a42897201ea5715993b0a987f9e91aea6652bdc3c25c818acc5', '2026-01-02T00:02:48.500000Z', NULL, 3, 1);
