/// Carries commands out.
struct PhoneController: Sendable {
    let link: PhoneLink
    let state: PhoneState

    /// The answer to a line of the control socket.
    func answer(_ words: [String]) -> String? {
        if words == ["status"] { return PhoneControl.encoded(status) }
        guard let command = PhoneCommand(words: words) else { return nil }
        perform(command)
        return PhoneControl.done
    }

    func perform(_ command: PhoneCommand) {
        switch command {
        case .lock: for id in state.lock() { post(.storeRemoved, id) }
        case .unlock: for id in state.unlock() { post(.storeAdded, id) }
        case .unplug: link.unplug()
        case .replug: link.replug()
        case .unplugAfter(let count): link.unplug(afterBytes: count)
        case .freeze: link.setFrozen(true)
        case .thaw: link.setFrozen(false)
        case .battery(let level):
            state.setBattery(level)
            post(.devicePropChanged, UInt32(DeviceProperty.batteryLevel.rawValue))
        case .bandwidth(let megabytes):
            link.model.bytesPerSecond = megabytes > 0 ? megabytes * 1e6 : nil
        case .operationLatency(let milliseconds):
            link.model.perOperation = .milliseconds(milliseconds)
        case .transferLatency(let milliseconds):
            link.model.perTransfer = .milliseconds(milliseconds)
        case .objectLatency(let milliseconds):
            link.model.perObject = .milliseconds(milliseconds)
        case .resetCounters: state.count { $0 = PhoneCounters() }
        }
    }

    private func post(_ event: PTPEvent, _ parameter: UInt32) {
        link.post(
            PTPContainer(
                kind: .event, code: event.rawValue, transaction: 0, parameters: [parameter]
            ).bytes)
    }

    var status: PhoneStatus {
        PhoneStatus(
            plugged: link.isPlugged, unlocked: state.current.isUnlocked, frozen: link.isFrozen,
            address: Int(link.address), bytesMoved: link.bytesMoved, counters: state.counters)
    }
}
