import Glibc

/// A device as udev sees it.
struct UdevDevice {
    var action = "add"
    var kernel = "1-4.2"
    var subsystem = "usb"
    var attributes: [String: String] = [:]
    var environment: [String: String] = ["DEVTYPE": "usb_device"]
    var existing: Set<String> = ["power/control"]
    var tags: Set<String> = []
    var group = ""
    var mode = ""
}

extension UdevRules {
    /// The device after the rules, as udev(7) says they are applied.
    func applied(to device: UdevDevice) -> UdevDevice {
        var device = device
        var skipTo: String?
        for rule in rules {
            if let label = skipTo {
                guard rule.contains(where: { $0.key == "LABEL" && $0.value == label }) else {
                    continue
                }
                skipTo = nil
            }
            guard rule.allSatisfy({ !$0.isMatch || $0.matches(device) }) else { continue }
            for term in rule where !term.isMatch {
                if term.key == "GOTO" { skipTo = term.value } else { term.assign(to: &device) }
            }
        }
        return device
    }
}

extension UdevRules.Term {
    fileprivate func matches(_ device: UdevDevice) -> Bool {
        let actual: String?
        switch key {
        case "ACTION": actual = device.action
        case "SUBSYSTEM": actual = device.subsystem
        case "KERNEL": actual = device.kernel
        case "ATTR": actual = device.attributes[attribute ?? ""]
        case "ENV": actual = device.environment[attribute ?? ""] ?? ""
        case "TEST": return device.existing.contains(value) == (operation == "==")
        default: return false
        }
        guard let actual else { return false }
        let matched = value.split(separator: "|").contains { fnmatch(String($0), actual, 0) == 0 }
        return matched == (operation == "==")
    }

    fileprivate func assign(to device: inout UdevDevice) {
        let expanded = value.replacing("%k", with: device.kernel)
        switch key {
        case "TAG": device.tags.insert(expanded)
        case "GROUP": device.group = expanded
        case "MODE": device.mode = expanded
        case "ATTR": device.attributes[attribute ?? ""] = expanded
        case "ENV" where operation == "+=":
            let old = device.environment[attribute ?? ""].map { $0 + " " } ?? ""
            device.environment[attribute ?? ""] = old + expanded
        case "ENV": device.environment[attribute ?? ""] = expanded
        default: break
        }
    }
}
