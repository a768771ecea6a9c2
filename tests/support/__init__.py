"""What tests share: how a playbook is run, what an inventory looks like, loopback addresses of one's own."""
