"""What a transaction can read and change, one aggregate at a time.

Each aggregate has a reader, for snapshots, and a repository, which also changes it. What a reader returns is a
copy: changing it changes nothing until it is saved. `get` returns None for what does not exist.

Add what is referred to before what refers to it: a wallet before its user, a hold before its interaction.
"""
