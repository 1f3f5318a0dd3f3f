import Foundation

/// An Android phone on a USB/IP socket, in this process. Programs that use libusb reach it with
/// the environment it gives; it lasts until `stop`.
package final class SimulatedAndroidPhone: Sendable {
    /// Where everything of this run lies.
    package let places: RunPlaces
    private let link: PhoneLink
    private let state: PhoneState
    private let server: USBIPServer
    private let control: ControlServer

    /// Starts a phone whose sockets lie in the folder `directory` (made when missing; several
    /// phones in different bays may share it). Throws when a socket or the replacement library
    /// cannot be set up.
    package init(
        options: PhoneOptions, storages: [PhoneStorage], directory: String,
        library: String? = nil
    ) throws(SocketProblem) {
        places = try RunPlaces(directory: directory, bay: options.bay, library: library)
        let link = PhoneLink(
            address: UInt8(clamping: options.bay + 1),
            packetSize: options.identity.bulkPacketSize, model: options.link)
        let state = PhoneState(storageCount: storages.count, isUnlocked: !options.startsLocked)
        let leaves = options.leavesOnReset
        let front = USBDeviceFront(link: link, identity: options.identity, bay: options.bay) {
            guard leaves else { return }
            link.unplug()
            link.replug()
        }
        self.link = link
        self.state = state
        server = try USBIPServer(
            path: places.usbSocket, tcpPort: options.tcpPort, device: front)
        let controller = PhoneController(link: link, state: state)
        control = try ControlServer(path: places.controlSocket, answer: controller.answer)
        Thread.detachNewThread {
            MTPResponder(link: link, state: state, storages: storages, options: options).run()
        }
    }

    /// Variables that lead an unmodified program to this phone.
    package var environment: [String: String] { places.environment }

    /// Runs a command as the control socket would.
    package func perform(_ command: PhoneCommand) {
        PhoneController(link: link, state: state).perform(command)
    }

    /// What the phone is and what hosts did so far.
    package var status: PhoneStatus {
        PhoneController(link: link, state: state).status
    }

    /// Pulls the cable for good and removes the sockets.
    package func stop() {
        server.end()
        control.end()
        link.close()
    }
}
