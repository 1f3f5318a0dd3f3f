extension LockdownConversation {
    /// Pair: the host brings certificates it made for the phone's key, the person at the screen
    /// decides, and the phone gives the escrow bag.
    func pair(_ request: PropertyList) -> Answer {
        guard let record = request["PairRecord"] else { return .failure("MissingPairRecord") }
        guard let host = record["HostID"]?.text, let system = record["SystemBUID"]?.text else {
            return .failure("InvalidPairRecord")
        }
        if let known = phone.trust.host(host), phone.screen.lock != .beforeFirstUnlock,
            known.record == record
        {
            return .values(["EscrowBag": .data(known.escrowBag)])
        }
        if let refusal = phone.screen.refusalOfPairing(host: system) { return .failure(refusal) }
        var noise = SystemRandomNumberGenerator()
        let bag = (0..<32).map { _ in UInt8.random(in: 0...255, using: &noise) }
        guard let trusted = TrustedHost(record: record, key: phone.key, escrowBag: bag) else {
            return .failure("InvalidPairRecord")
        }
        phone.trust.add(trusted)
        phone.count { $0.pairings += 1 }
        return .values(["EscrowBag": .data(bag)])
    }

    /// ValidatePair: whether the phone knows the host.
    func validatePair(_ request: PropertyList) -> Answer {
        guard let id = request["PairRecord"]?["HostID"]?.text else {
            return .failure("MissingPairRecord")
        }
        guard phone.screen.lock != .beforeFirstUnlock else { return .failure("PasswordProtected") }
        return phone.trust.host(id) == nil ? .failure("InvalidHostID") : .done
    }

    /// Unpair: the phone forgets the host.
    func unpair(_ request: PropertyList) -> Answer {
        guard let id = request["PairRecord"]?["HostID"]?.text else {
            return .failure("MissingPairRecord")
        }
        return phone.trust.remove(id) ? .done : .failure("InvalidHostID")
    }
}
