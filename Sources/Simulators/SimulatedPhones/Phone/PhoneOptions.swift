/// How a simulated Android phone is set up.
package struct PhoneOptions: Sendable {
    /// What it shows on the bus.
    package var identity = USBIdentity()
    /// Name its owner gave it.
    package var friendlyName = "Simulated phone"
    /// Extensions in DeviceInfo.
    package var extensions = "microsoft.com: 1.0; android.com: 1.0;"
    /// Socket of the bay it is plugged into, from 1.
    package var bay = 1
    /// Speed of the cable.
    package var link = LinkModel()
    /// Locked or charging only: no storages until it is unlocked.
    package var startsLocked = false
    /// A host that died without closing its session leaves it open: the next OpenSession gets
    /// 0x201E, as on phones that do not notice.
    package var keepsSessionOfDeadHost = false
    /// A reset of the port makes the phone leave and come back under a new address.
    package var leavesOnReset = false
    /// Seconds east of Greenwich of the phone's clock; dates are local text.
    package var zone: Int64 = 0
    /// TCP port on the loopback address besides the Unix socket, for a kernel's vhci.
    package var tcpPort: UInt16?

    /// A phone that behaves.
    package init() {}
}
