-- What the program of revision 0007 left beside the rows of books_of_0001.sql: a person with API keys, one of them
-- revoked, a reply out of the cache that was asked to stop, a purchase that was never paid; and an app that charged
-- for captions, with a wallet that is no user's, a charge and a hold that was never settled.

INSERT INTO wallets
    (id, posted, held, version, overdraft)
VALUES
    ('old-51', 99, 0, 2, 0),
    ('app-01', 7, 2, 2, 0);

INSERT INTO users
    (id, username, email, username_key, email_key, password_hash, role, wallet_id, created_at, disabled_at)
VALUES
    ('old-50', 'dan', 'dan@example.org', 'dan', 'dan@example.org', 'plain$00f2b76a1dc1447c$ce4d0ca49d4b65a4cfe3a23b0a6133af67ac6e0c4e285ab8af7265f4b001c4ef', 'user', 'old-51', '2026-01-01T00:10:00.000000Z', NULL);

INSERT INTO conversations
    (id, user_id, title, created_at, updated_at, deleted_at, listed)
VALUES
    ('old-52', 'old-50', 'By a program', '2026-01-01T00:11:00.000000Z', '2026-01-01T00:11:00.000000Z', NULL, false);

INSERT INTO api_keys
    (id, user_id, name, name_key, digest, monthly_cap, created_at, expires_at, revoked_at, last_used_at, revoked_by, revoked_why)
VALUES
    ('old-53', 'old-50', 'CI', 'ci', 'no digest', 9, '2026-01-01T00:10:30.000000Z', NULL, NULL, '2026-01-01T00:11:00.000000Z', NULL, NULL),
    ('old-54', 'old-50', 'Lost', 'lost', 'none', NULL, '2026-01-01T00:10:31.000000Z', NULL, '2026-01-01T00:10:40.000000Z', NULL, 'old-01', 'It leaked');

INSERT INTO api_key_months
    (api_key_id, starts_at, ends_at, monthly_cap, used)
VALUES
    ('old-53', '2026-01-01T00:00:00.000000Z', '2026-02-01T00:00:00.000000Z', 9, 1);

INSERT INTO holds
    (id, wallet_id, amount, created_at, expires_at, state, captured, refunded, settled_at)
VALUES
    ('old-56', 'old-51', 1, '2026-01-01T00:11:00.000000Z', '2026-01-01T00:22:00.000000Z', 'captured', 1, 0, '2026-01-01T00:11:01.000000Z'),
    ('app-02', 'app-01', 5, '2026-01-01T00:12:00.000000Z', '2026-01-01T00:22:00.000000Z', 'captured', 3, 0, '2026-01-01T00:12:01.000000Z'),
    ('app-03', 'app-01', 2, '2026-01-02T00:03:00.000000Z', '2026-01-02T00:14:00.000000Z', 'pending', 0, 0, NULL);

INSERT INTO interactions
    (id, conversation_id, user_id, wallet_id, hold_id, model, price_per_reply, price_per_1k_prompt_tokens, price_per_1k_completion_tokens, held, created_at, outcome, prompt_tokens, completion_tokens, credits_charged, balance_after, processing_time_ms, finished_at, error_code, error_detail, prompt, reply, api_key_id, cached, stop_asked_at)
VALUES
    ('old-55', 'old-52', 'old-50', 'old-51', 'old-56', 'demo "mini" \ ü', 1, 0, 0, 1, '2026-01-01T00:11:00.000000Z', 'stopped', 2, 1, 1, 99, 1000, '2026-01-01T00:11:01.000000Z', NULL, NULL, 'stop me', 'stop', 'old-53', true, '2026-01-01T00:11:00.500000Z');

INSERT INTO payments
    (id, user_id, wallet_id, package, credits, price_hundredths, currency, provider, created_at, status, confirmed_at, balance_after)
VALUES
    ('old-57', 'old-50', 'old-51', 'small', 100, 100, 'EUR', 'sandbox', '2026-01-01T00:13:00.000000Z', 'pending', NULL, NULL);

INSERT INTO ledger_entries
    (wallet_id, wallet_version, id, kind, debit, credit, amount, balance_after, description, created_at, hold_id, interaction_id, payment_id, author)
VALUES
    ('old-51', 1, 'old-58', 'grant', 'house:promotions', 'wallet:old-51', 100, 100, 'Welcome credits', '2026-01-01T00:10:00.000000Z', NULL, NULL, NULL, NULL),
    ('old-51', 2, 'old-59', 'charge', 'wallet:old-51', 'house:revenue', 1, 99, 'Reply by demo "mini" \ ü', '2026-01-01T00:11:01.000000Z', 'old-56', 'old-55', NULL, NULL),
    ('app-01', 1, 'app-04', 'grant', 'house:promotions', 'wallet:app-01', 10, 10, 'A gift', '2026-01-01T00:10:00.000000Z', NULL, NULL, NULL, NULL),
    ('app-01', 2, 'app-05', 'charge', 'wallet:app-01', 'house:revenue', 3, 7, 'A caption', '2026-01-01T00:12:01.000000Z', 'app-02', NULL, NULL, NULL);
