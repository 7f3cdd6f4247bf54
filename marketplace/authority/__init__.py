"""The one gate for money: policy, mandate, ledger, approval, permit."""
